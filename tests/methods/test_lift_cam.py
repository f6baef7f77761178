"""LIFT-CAM's axiom: what the channels add is what the score is more than without any of them, behind any head."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfcam

L = keras.layers


class Added(tfcam.LIFTCAM):
    """Show what each cell adds, whose sum the axiom tells."""

    def maps(self, run):
        return [tf.reduce_sum(self.contributions(run, 0), axis=-1)]


class Gate(L.Layer):
    def __init__(self, **named):
        super().__init__(**named)
        self.weigh = L.Dense(5, activation="sigmoid")

    def call(self, x):
        return x * self.weigh(keras.ops.mean(x, axis=(1, 2), keepdims=True))


class Attention(L.Layer):
    def __init__(self, **named):
        super().__init__(**named)
        self.attend = L.MultiHeadAttention(2, 4)

    def call(self, x):
        cells = keras.ops.reshape(x, (-1, 12 * 8, 5))
        return self.attend(cells, cells)


HEADS = {
    "linear": lambda: [L.GlobalAveragePooling2D(), L.Dense(3)],
    "a hidden layer": lambda: [L.Flatten(), L.Dense(6, activation="relu"), L.Dense(3)],
    "maxima": lambda: [L.MaxPooling2D(), L.Conv2D(4, 3, activation="relu"), L.GlobalMaxPooling2D(), L.Dense(3)],
    "swish": lambda: [
        *(L.Conv2D(4, 3, activation="silu"), L.BatchNormalization(), L.GlobalAveragePooling2D(), L.Dense(3))
    ],
    "GELU and layer normalisation": lambda: [
        *(L.Conv2D(4, 3, activation="gelu"), L.LayerNormalization(), L.GlobalAveragePooling2D(), L.Dense(3))
    ],
    "ELU and group normalisation": lambda: [
        *(L.Conv2D(4, 3, activation="elu"), L.GroupNormalization(2), L.Flatten(), L.Dense(3))
    ],
    "sines and steps": lambda: [
        *(L.Lambda(lambda x: tf.sin(3 * x) + tf.round(2 * x)), L.GlobalAveragePooling2D(), L.Dense(3))
    ],
    "quotients": lambda: [
        *(
            L.Lambda(lambda x: x / (1 + keras.ops.mean(x, axis=-1, keepdims=True))),
            L.GlobalAveragePooling2D(),
            L.Dense(3),
        )
    ],
    "norms": lambda: [
        L.Lambda(lambda x: tf.math.reduce_euclidean_norm(1 + x, -1, True)),
        L.GlobalAveragePooling2D(),
        L.Dense(3),
    ],
    "squeeze and excite": lambda: [Gate(), L.GlobalAveragePooling2D(), L.Dense(3)],
    "attention": lambda: [Attention(), L.GlobalAveragePooling1D(), L.Dense(3)],
    "a linear loop": lambda: [*(L.Reshape((12, 8 * 5)), L.SimpleRNN(4, activation=None), L.Dense(3))],
}


def model_of(*head):
    return keras.Sequential([keras.Input((16, 12, 3)), L.Conv2D(4, 3), L.Conv2D(5, 3, activation="relu"), *head])


def probability(model, x, y):
    return tf.reduce_sum(tf.nn.softmax(model(x)) * y, axis=-1)


@pytest.mark.filterwarnings("error::tfcam.ExplanationWarning")
@pytest.mark.parametrize("operator", [None, probability], ids=["logits", "probabilities"])
@pytest.mark.parametrize("head", HEADS)
def test_what_the_channels_add_is_what_the_score_is_more_than_without_them(head, operator, images):
    model = model_of(*HEADS[head]())
    activations = model.layers[1](model.layers[0](images))
    behind = keras.Sequential(model.layers[2:])
    target = np.eye(3, dtype="float32")[[1] * 5]
    score = operator or (lambda model, x, y: tf.reduce_sum(model(x) * y, axis=-1))
    more = score(behind, activations, target) - score(behind, tf.zeros_like(activations), target)
    added = Added(model, conv_layer=model.layers[1], signed=True, operator=operator).explain(
        images, target, resize=False
    )
    # Probabilities that hardly differ are themselves rounded.
    atol = max(1e-5 * np.abs(more).max(), np.finfo("float32").eps)
    np.testing.assert_allclose(added.numpy().sum(axis=(1, 2, 3)), more, atol=atol)


def test_a_head_that_the_rule_is_not_for_is_told(images):
    head = [L.Lambda(lambda x: tf.math.cumprod(1.0 + x, axis=-1)), L.GlobalAveragePooling2D(), L.Dense(3)]
    with pytest.warns(tfcam.ExplanationWarning, match="do not add up .* take Ablation-CAM"):
        tfcam.LIFTCAM(model_of(*head), conv_layer=1).explain(images, 1)


def test_it_is_told_of_any_of_several_layers(images):
    wild = L.Lambda(lambda x: tf.math.cumprod(1.0 + x, axis=-1))
    model = keras.Sequential(
        [keras.Input((16, 12, 3)), L.Conv2D(4, 3), L.Conv2D(5, 3), wild, L.GlobalAveragePooling2D(), L.Dense(3)]
    )
    with pytest.warns(tfcam.ExplanationWarning, match="do not add up"):
        tfcam.LIFTCAM(model, conv_layer=[0, 1]).explain(images, 1)


def test_shapley_values_of_two_channels_are_estimated_well(images):
    """Of two channels, the exact values are two means of two differences."""
    first = L.Conv2D(2, 3, activation="relu", name="two")
    head = [L.GlobalAveragePooling2D(), L.Dense(20, activation="relu"), L.Dense(3)]
    model = keras.Sequential([keras.Input((16, 12, 3)), first, *head])
    a = first(images).numpy()

    def score(*kept):
        x = a * np.float32(kept)
        for layer in head:
            x = layer(x)
        return x.numpy()[:, 1]

    one = 0.5 * (score(1, 0) - score(0, 0) + score(1, 1) - score(0, 1))
    other = 0.5 * (score(0, 1) - score(0, 0) + score(1, 1) - score(1, 0))
    expected = one[:, None, None] * a[..., 0] + other[:, None, None] * a[..., 1]

    def far(method):
        return np.abs(method(model, signed=True).explain(images, 1, resize=False).numpy()[..., 0] - expected).mean()

    # What goes with each channel alone is further from them.
    assert far(tfcam.LIFTCAM) < 0.5 * far(tfcam.AblationCAM)
