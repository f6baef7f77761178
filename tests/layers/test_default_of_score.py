"""Models of several outputs: the default layer is the last one that the score depends on."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from oracle import close

import tfcam

L, ops = keras.layers, keras.ops


@pytest.fixture
def x():
    return np.random.default_rng(0).uniform(size=(3, 16, 12, 3)).astype("float32")


def detector():
    """Return a model with boxes and classes for the cells of two grids, the boxes' branch being the last."""
    inputs = keras.Input((16, 12, 3))
    fine = L.Conv2D(6, 3, strides=2, padding="same", activation="relu", name="fine")(inputs)
    coarse = L.Conv2D(6, 3, strides=2, padding="same", activation="relu", name="coarse")(fine)
    found = {}
    for kind, numbers in (("classes", 4), ("boxes", 4)):
        tower, head = (
            L.Conv2D(6, 3, padding="same", activation="relu", name=f"{kind}_tower"),
            L.Conv2D(numbers, 1, name=f"{kind}_head"),
        )
        levels = [L.Reshape((-1, numbers))(head(tower(level))) for level in (fine, coarse)]
        found[kind] = L.Concatenate(axis=1, name=kind)(levels)
    return keras.Model(inputs, found)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.stem = L.Conv2D(6, 3, activation="relu", name="stem")
        self.left, self.right = (L.Conv2D(4, 3, activation="relu", name=name) for name in ("left", "right"))
        self.pool, self.one, self.other = L.GlobalAveragePooling2D(), L.Dense(2), L.Dense(3)

    def call(self, x):
        x = self.stem(x)
        return self.one(self.pool(self.left(x))), self.other(self.pool(self.right(x)))


def two_heads():
    inputs = keras.Input((16, 12, 3))
    stem = L.Conv2D(6, 3, activation="relu", name="stem")(inputs)
    left = L.Conv2D(4, 3, activation="relu", name="left")(stem)
    right = L.Conv2D(4, 3, activation="relu", name="right")(stem)
    pool = L.GlobalAveragePooling2D()
    return keras.Model(
        inputs, [L.Dense(2, name="l")(pool(left)), L.Dense(3, name="r")(pool(right)), L.Dense(2, name="s")(pool(stem))]
    )


#: Models, operators on one of their outputs, and the layers that are explained.
CASES = {
    "classes of a detector": (detector, lambda m, x, t: m(x)["classes"][:, 37, 1], "classes_head@0"),
    "boxes of a detector": (detector, lambda m, x, t: m(x)["boxes"][:, 50, 1], "boxes_head@1"),
    "a class at the end": (detector, lambda m, x, t: m(x)["classes"][:, -1, 1], "classes_head@1"),
    "the last cell of a level": (detector, lambda m, x, t: m(x)["classes"][:, 47, 1], "classes_head@0"),
    "the first cell of the next": (detector, lambda m, x, t: m(x)["classes"][:, 48, 1], "classes_head@1"),
    "a range of cells": (detector, lambda m, x, t: ops.max(m(x)["classes"][:, 40:48, 1], 1), "classes_head@0"),
    "a range of both": (detector, lambda m, x, t: ops.max(m(x)["classes"][:, 40:50:3, 1], 1), "classes_head@1"),
    "all classes of a detector": (
        detector,
        lambda m, x, t: ops.max(m(x)["classes"][..., 1], axis=1),
        "classes_head@1",
    ),
    "the left head": (two_heads, lambda m, x, t: m(x)[0][:, 0], "left"),
    "the right head": (two_heads, lambda m, x, t: m(x)[1][:, 0], "right"),
    "the head of the stem": (two_heads, lambda m, x, t: m(x)[2][:, 0], "stem"),
    "called by call()": (two_heads, lambda m, x, t: m.call(x)[0][:, 1], "left"),
    "subclassed, left": (Subclassed, lambda m, x, t: m(x)[0][:, 0], "left"),
    "subclassed, right": (Subclassed, lambda m, x, t: m(x)[1][:, 0], "right"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_default_is_the_last_layer_that_the_score_depends_on(case, x):
    make, operator, wanted = CASES[case]
    explainer = tfcam.GradCAM(make(), operator=operator, absolute=True)
    maps = explainer.explain(x)
    assert explainer.conv_layer == wanted
    assert maps.shape == (3, 16, 12, 1) and np.max(maps) > 0


def test_it_is_known_before_the_first_image():
    assert tfcam.GradCAM(two_heads(), operator=lambda m, x, t: m(x)[0][:, 0]).conv_layer == "left"


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("as_dataset", [False, True])
def test_where_the_score_needs_targets_it_is_known_with_the_first_of_them(index, as_dataset, x):
    def operator(model, inputs, targets):
        return tf.reduce_sum(model(inputs)[index] * targets, axis=-1)

    model = two_heads()
    explainer = tfcam.GradCAM(model, operator=operator, signed=True)
    targets = np.eye(2 + index, dtype="float32")[[0, 1, 0]]
    inputs = (tf.data.Dataset.from_tensor_slices((x, targets)).batch(2),) if as_dataset else (x, targets)
    maps = explainer.explain(*inputs, resize=False).numpy()[..., 0]
    layer = ("left", "right")[index]
    assert explainer.conv_layer == layer
    activations = keras.Model(model.inputs, model.get_layer(layer).output)(x).numpy()
    kernel = model.get_layer("lr"[index]).kernel.numpy()
    close(maps, np.einsum("nhwk,nk->nhw", activations, targets @ kernel.T) / np.prod(activations.shape[1:3]))


def test_an_operator_that_fails_says_so_on_images(x):
    def operator(model, inputs, targets):
        raise KeyError("no such output")

    with pytest.raises(KeyError, match="no such output"):
        tfcam.GradCAM(two_heads(), operator=operator).explain(x)


def test_a_layer_that_puts_out_several_parts_of_what_is_explained_is_no_output(x):
    with pytest.raises(ValueError, match=r"classes_head' is called 2 times.*classes_head@0, classes_head@1.*operator"):
        tfcam.GradCAM(detector(), output_layer="classes_head")
    assert tfcam.GradCAM(detector(), output_layer="classes_head@1").explain(x, 1).shape == (3, 16, 12, 1)
    assert tfcam.GradCAM(detector(), output_layer="classes").explain(x, 1).shape == (3, 16, 12, 1)
