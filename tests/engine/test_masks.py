"""Padding that a model masks stays masked behind the explained layer; otherwise another model would be explained."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfcam
from tfcam.methods.base import ActivationPerturbation

LENGTHS = np.array([[8], [5], [3], [6]])


def legacy_layers():
    """Return a tf_keras model of padded series, the explained layer's activations and the last layer."""
    tf_keras = pytest.importorskip("tf_keras")
    layers = tf_keras.layers
    mask, series, dense = layers.Masking(), layers.LSTM(5, return_sequences=True, name="series"), layers.Dense(3)
    inputs = tf_keras.Input((8, 3))
    model = tf_keras.Model(inputs, dense(layers.GlobalAveragePooling1D()(series(mask(inputs)))))
    return model, lambda x: series(mask(x)), dense


def nested_model():
    """Return the same in Keras 3, with a nested model as the explained layer."""
    layers = keras.layers
    inputs, outer = keras.Input((8, 3)), keras.Input((8, 3))
    body = keras.Model(inputs, layers.LSTM(5, return_sequences=True)(layers.Masking()(inputs)), name="series")
    dense = layers.Dense(3)
    return keras.Model(outer, dense(layers.GlobalAveragePooling1D()(body(outer)))), body, dense


class Halving(ActivationPerturbation):
    """How much of the score each channel carries, behind a linear head."""

    def masks(self, activations, indices):
        return 1.0 - 0.5 * tf.one_hot(indices, activations.shape[-1])[None, :, None]

    def combine(self, activations, scores, perturbed):
        return tf.tile((scores[:, None] - perturbed)[:, None], [1, tf.shape(activations)[1], 1])[..., 0]


@pytest.mark.parametrize("make", [legacy_layers, nested_model])
def test_a_masked_model_is_the_same_model_behind_the_explained_layer(make):
    model, body, dense = make()
    kept = np.arange(8)[None] < LENGTHS
    x = (np.random.default_rng(0).uniform(-1, 1, (4, 8, 3)) * kept[..., None]).astype("float32")
    activations, kernel = np.asarray(body(x)), dense.get_weights()[0]
    shares = kept / LENGTHS  # of each step in the average
    np.testing.assert_allclose(model(x), np.einsum("nt,ntk->nk", shares, activations) @ kernel, atol=1e-6)

    maps = tfcam.GradCAM(model, conv_layer="series").explain(x, 1, resize=False).numpy()[..., 0]
    expected = np.maximum((activations * kernel[:, 1]).sum(-1) / 8, 0)
    assert expected.max() > 0
    np.testing.assert_allclose(maps, expected, atol=1e-6)

    drops = Halving(model, conv_layer="series", signed=True).explain(x, 1, resize=False).numpy()[..., 0]
    expected = 0.5 * np.einsum("nt,nt->n", shares, activations[..., 0]) * kernel[0, 1]
    np.testing.assert_allclose(drops, np.tile(expected[:, None], (1, 8)), atol=1e-6)
