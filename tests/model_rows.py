"""Every kind of model, each with the same computation as plain functions."""

from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

L = keras.layers


@dataclass
class Row:
    """A model, its images, and the same computation as two plain functions."""

    model: Any
    inputs: Any
    body: Any
    head: Any
    options: dict = field(default_factory=dict)
    classes: int = 4
    spatial_input: Any = None
    target_weights: Any = None
    #: The weights of the pixels of an output with a grid, where it is not their mean that is explained.
    region: Any = None

    @property
    def images(self):
        """The input that the explained layer sees."""
        return self.inputs if self.spatial_input is None else self.spatial_input


def chain(*layers):
    def run(x):
        for layer in layers:
            x = layer(x)
        return x

    return run


def parts(rank=2, classes=4, activation=None, **conv):
    """Return convolutional layers and head layers, which each row wires in its own way."""
    convolution = {1: L.Conv1D, 2: L.Conv2D, 3: L.Conv3D}[rank]
    body = [
        convolution(6, 3, padding="same", activation="relu", name="conv_a"),
        convolution(6, 3, strides=2, padding="same", activation="relu", name="conv_b", **conv),
    ]
    head = [L.Flatten(name="flat"), L.Dense(8, activation="relu"), L.Dense(classes, activation=activation)]
    return body, head


def pixels(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype("float32")


def functional(layers, shape, **names):
    inputs = keras.Input(shape)
    return keras.Model(inputs, chain(*layers)(inputs), **names)


SHAPE = (16, 12, 3)


def row_functional():
    body, head = parts()
    return Row(functional(body + head, SHAPE), pixels(5, *SHAPE), chain(*body), chain(*head))


def row_sequential_with_input():
    body, head = parts()
    return Row(keras.Sequential([keras.Input(SHAPE), *body, *head]), pixels(5, *SHAPE), chain(*body), chain(*head))


def row_sequential_never_built():
    body, head = parts()
    return Row(keras.Sequential([*body, *head]), pixels(5, *SHAPE), chain(*body), chain(*head))


def row_nested_in_functional_with_preprocessing():
    body, head = parts()
    backbone = functional(body, SHAPE, name="backbone")
    before = [L.Rescaling(0.5, 0.1), L.RandomFlip(), L.RandomRotation(0.2)]
    model = functional([*before, backbone, L.Dropout(0.5), *head], SHAPE)
    return Row(model, pixels(5, *SHAPE), chain(before[0], *body), chain(*head))


def row_nested_in_sequential():
    body, head = parts()
    backbone = functional(body, SHAPE, name="backbone")
    backbone.trainable = False
    model = keras.Sequential([backbone, L.Dropout(0.3), *head])
    return Row(model, pixels(5, *SHAPE), chain(*body), chain(*head), {"conv_layer": "backbone/conv_b"})


def row_nested_twice():
    body, head = parts()
    inner = functional(body, SHAPE, name="inner")
    outer = functional([L.Rescaling(2.0), inner], SHAPE, name="outer")
    model = functional([outer, *head], SHAPE)
    return Row(
        model, pixels(5, *SHAPE) / 2, chain(lambda x: x * 2, *body), chain(*head), {"conv_layer": "outer/inner/conv_b"}
    )


class Subclassed(keras.Model):
    def __init__(self, body, head):
        super().__init__()
        self.body, self.head = body, head

    def call(self, inputs):
        return chain(*self.body, *self.head)(inputs)


def row_subclassed():
    body, head = parts()
    return Row(Subclassed(body, head), pixels(5, *SHAPE), chain(*body), chain(*head))


def row_subclassed_with_nested_functional():
    body, head = parts()
    backbone = functional(body, SHAPE, name="backbone")
    return Row(Subclassed([backbone], head), pixels(5, *SHAPE), chain(*body), chain(*head))


def mixed(policy):
    keras.config.set_dtype_policy(policy)
    body, head = parts()
    head.append(L.Activation("softmax", dtype="float32"))
    model = functional(body + head, SHAPE)
    return Row(model, pixels(5, *SHAPE), chain(*body), chain(*head[:-1]))


def row_mixed_float16():
    return mixed("mixed_float16")


def row_mixed_bfloat16():
    return mixed("mixed_bfloat16")


def linear_head(head):
    """Return the head without the activation of its last layer."""

    def run(activations):
        features = chain(*head[:-1])(activations)
        return features @ head[-1].kernel + head[-1].bias

    return run


def row_fused_softmax():
    body, head = parts(activation="softmax")
    return Row(functional(body + head, SHAPE), pixels(5, *SHAPE), chain(*body), linear_head(head))


def row_separate_softmax():
    body, head = parts()
    return Row(functional([*body, *head, L.Softmax()], SHAPE), pixels(5, *SHAPE), chain(*body), chain(*head))


def row_softmax_then_reshape():
    body, head = parts()
    model = functional([*body, *head, L.Reshape((1, 4)), L.Softmax(), L.Reshape((4,))], SHAPE)
    return Row(model, pixels(5, *SHAPE), chain(*body), chain(*head))


def row_softmax_itself():
    body, head = parts(activation="softmax")
    return Row(functional(body + head, SHAPE), pixels(5, *SHAPE), chain(*body), chain(*head), {"output_layer": -1})


def row_one_unit_sigmoid():
    body, head = parts(classes=1, activation="sigmoid")
    signs = np.array([[-1.0], [1.0], [-1.0], [1.0], [1.0]], "float32")
    row = Row(functional(body + head, SHAPE), pixels(5, *SHAPE), chain(*body), linear_head(head), classes=2)
    row.target_weights = ([0, 1, 0, 1, 1], signs)
    return row


def row_names_with_dots_and_slashes():
    body, head = parts()
    body[1] = L.Conv2D(6, 3, strides=2, activation="relu", name="block_1.00.conv")
    backbone = functional(body, SHAPE, name="net_1.00_224")
    model = functional([backbone, *head], SHAPE, name="my.model")
    return Row(model, pixels(5, *SHAPE), chain(*body), chain(*head), {"conv_layer": "net_1.00_224/block_1.00.conv"})


def row_series():
    body, head = parts(rank=1)
    return Row(functional(body + head, (40, 2)), pixels(5, 40, 2), chain(*body), chain(*head))


def row_volumes():
    body, head = parts(rank=3)
    return Row(functional(body + head, (8, 6, 10, 1)), pixels(5, 8, 6, 10, 1), chain(*body), chain(*head))


def row_frame_by_frame():
    body, head = parts()
    each = [L.TimeDistributed(chain_model(body, SHAPE)), *head]
    return Row(functional(each, (3, *SHAPE)), pixels(5, 3, *SHAPE), each[0], chain(*head))


def chain_model(layers, shape):
    return keras.Sequential([keras.Input(shape), *layers])


def row_variable_size():
    body, head = parts()
    head = [L.GlobalMaxPooling2D(), L.Dense(4)]
    return Row(functional(body + head, (None, None, 3)), pixels(5, *SHAPE), chain(*body), chain(*head))


def row_grouped():
    body, head = parts(groups=2)
    return Row(functional(body + head, SHAPE), pixels(5, *SHAPE), chain(*body), chain(*head))


def with_last(convolution):
    body, head = parts()
    body[1] = convolution
    return Row(functional(body + head, SHAPE), pixels(5, *SHAPE), chain(*body), chain(*head))


def row_separable():
    return with_last(L.SeparableConv2D(6, 3, strides=2, activation="relu"))


def row_depthwise():
    return with_last(L.DepthwiseConv2D(3, depth_multiplier=2, activation="relu"))


def row_transposed():
    return with_last(L.Conv2DTranspose(6, 3, strides=2, activation="relu"))


def row_activation_after_normalisation():
    convolution, normalise, activate = L.Conv2D(6, 3), L.BatchNormalization(), L.ReLU(name="act")
    _, head = parts()
    model = functional([convolution, normalise, activate, *head], SHAPE)
    return Row(model, pixels(5, *SHAPE), chain(convolution, normalise, activate), chain(*head))
