"""Heads that take an extreme of the grid: their gradients are those of a tape, inside a loop too."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_models import KINDS

import tfcam

L, ops = keras.layers, keras.ops

CLASSES = [2, 0]


def rows(x):
    """Return the cells of an activation as rows ``(N, 120, 4)``."""
    return ops.reshape(x, (-1, 12 * 10, 4))


HEADS = {
    "global maximum": lambda x: L.GlobalMaxPooling2D()(x),
    "ops.max": lambda x: ops.max(x, axis=(1, 2)),
    "ops.min": lambda x: ops.min(x, axis=(1, 2)),
    "ops.amax of rows": lambda x: ops.amax(rows(x), axis=1),
    "ops.prod": lambda x: ops.prod(x, axis=(1, 2)),
    "median": lambda x: ops.median(x, axis=(1, 2)),
    "quantile": lambda x: ops.quantile(x, 0.75, axis=(1, 2)),
    "the last of a sort": lambda x: ops.sort(rows(x), axis=1)[:, -1],
    "logsumexp": lambda x: ops.logsumexp(x, axis=(1, 2)),
    "maximum over rows, mean over columns": lambda x: ops.mean(ops.max(x, axis=1), axis=1),
    "maximum and mean": lambda x: ops.concatenate([ops.max(x, axis=(1, 2)), ops.mean(x, axis=(1, 2))], axis=-1),
}


@pytest.fixture
def images():
    return np.random.default_rng(0).uniform(-1, 1, (3, 12, 10, 3)).astype("float32")


def parts(head, size=(12, 10, 3)):
    """Return a model with this head, and a model of its activations."""
    keras.utils.set_random_seed(5)
    inputs = keras.Input(size)
    activations = L.Conv2D(4, 3, padding="same", activation="softplus", name="conv")(inputs)
    outputs = L.Dense(3, dtype="float32", name="scores")(head(activations))
    return keras.Model(inputs, outputs), keras.Model(inputs, activations), keras.Model(activations, outputs)


def grad_cam(body, head, images, label):
    activations = body(images)
    with tf.GradientTape() as tape:
        tape.watch(activations)
        score = tf.reduce_sum(head(activations)[:, label])
    weights = tf.reduce_mean(tape.gradient(score, activations), axis=(1, 2), keepdims=True)
    return tf.nn.relu(tf.reduce_sum(weights * activations, axis=-1)).numpy()


@pytest.mark.parametrize("head", HEADS)
def test_several_classes_of_an_extreme_are_those_of_a_tape(head, images):
    model, body, rest = parts(HEADS[head])
    explainer = tfcam.GradCAM(model)
    maps = explainer.explain_classes(images, CLASSES, resize=False).numpy()[..., 0]
    expected = np.stack([grad_cam(body, rest, images, label) for label in CLASSES], axis=1)
    np.testing.assert_allclose(maps, expected, atol=1e-5 * np.abs(expected).max())
    top, classes = explainer.explain_top(images, 2, resize=False)
    alone = [explainer.explain(images, classes[:, k], resize=False) for k in range(2)]
    np.testing.assert_allclose(top, np.stack(alone, axis=1), atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("head", ["global maximum", "ops.min", "median", "ops.prod"])
def test_half_precision_explains_an_extreme(head, images):
    keras.config.set_dtype_policy("mixed_float16")
    model, body, rest = parts(HEADS[head])
    maps = tfcam.GradCAM(model).explain_classes(images, CLASSES, resize=False).numpy()[..., 0]
    expected = np.stack([grad_cam(body, rest, images, label) for label in CLASSES], axis=1)
    np.testing.assert_allclose(maps, expected, atol=1e-2 * np.abs(expected).max())


OF_GRADIENTS = [name for name in (*KINDS, "eigen-grad-cam", "layer-cam") if tfcam.METHODS[name].family == "gradient"]


@pytest.mark.parametrize("method", OF_GRADIENTS)
def test_methods_of_gradients_explain_several_classes_of_an_extreme(method, images):
    model, *_ = parts(HEADS["global maximum"], (None, None, 3))
    explainer = tfcam.METHODS[method](model)
    maps = explainer.explain_classes(images, CLASSES)
    for column, label in enumerate(CLASSES):
        expected = explainer.explain(images, label)
        np.testing.assert_allclose(maps[:, column], expected, atol=1e-5 * np.abs(expected).max())
