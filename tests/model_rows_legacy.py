"""Models of the legacy package tf_keras, instrumented by the same mechanism."""

import pytest
import tensorflow as tf
from model_rows import SHAPE, Row, chain, pixels


def legacy():
    tf_keras = pytest.importorskip("tf_keras")
    return tf_keras, tf_keras.layers


def parts():
    _, layers = legacy()
    body = [
        layers.Conv2D(6, 3, padding="same", activation="relu", name="conv_a"),
        layers.Conv2D(6, 3, strides=2, padding="same", activation="relu", name="conv_b"),
    ]
    return body, [layers.Flatten(), layers.Dense(8, activation="relu"), layers.Dense(4)]


def functional(layers, **names):
    tf_keras, _ = legacy()
    inputs = tf_keras.Input(SHAPE)
    return tf_keras.Model(inputs, chain(*layers)(inputs), **names)


def row_legacy_functional():
    body, head = parts()
    return Row(functional(body + head), pixels(5, *SHAPE), chain(*body), chain(*head))


def row_legacy_backbone_in_sequential():
    tf_keras, layers = legacy()
    body, head = parts()
    backbone = tf_keras.Sequential([tf_keras.Input(SHAPE), *body], name="backbone")
    model = tf_keras.Sequential([backbone, *head, layers.Softmax()])
    model(pixels(1, *SHAPE))
    return Row(model, pixels(5, *SHAPE), chain(*body), chain(*head))


def row_legacy_subclassed():
    tf_keras, _ = legacy()
    body, head = parts()

    class Subclassed(tf_keras.Model):
        def __init__(self):
            super().__init__()
            self.body, self.head = body, head

        def call(self, inputs):
            return chain(*self.body, *self.head)(inputs)

    return Row(Subclassed(), pixels(5, *SHAPE), chain(*body), chain(*head))


def row_legacy_names_with_slashes():
    _, layers = legacy()
    body, head = parts()
    body[1] = layers.Conv2D(6, 3, strides=2, activation="relu", name="block_1.0/conv")
    model = functional([functional(body, name="net/1.0"), *head])
    return Row(model, pixels(5, *SHAPE), chain(*body), chain(*head), {"conv_layer": "net/1.0/block_1.0/conv"})


def joined():
    tf_keras, layers = legacy()
    body, head = parts()
    picture, table = tf_keras.Input(SHAPE, name="picture"), tf_keras.Input((3,), name="table")
    mix = layers.Dense(4)
    output = mix(layers.Concatenate()([chain(*head)(chain(*body)(picture)), table]))
    images, numbers = pixels(5, *SHAPE), pixels(5, 3, seed=4)

    def rest(activations):
        return mix(layers.Concatenate()([chain(*head)(activations), numbers]))

    row = Row(None, {"table": numbers, "picture": images}, chain(*body), rest, spatial_input=images)
    return row, tf_keras, picture, table, output


def row_legacy_dict_inputs():
    row, tf_keras, picture, table, output = joined()
    row.model = tf_keras.Model({"picture": picture, "table": table}, output)
    return row


def row_legacy_inputs_by_name():
    row, tf_keras, picture, table, output = joined()
    row.model = tf_keras.Model([picture, table], output)
    return row


def row_legacy_mixed_float16():
    tf_keras, layers = legacy()
    tf_keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        body, head = parts()
        model = functional([*body, *head, layers.Activation("softmax", dtype="float32")])
    finally:
        tf_keras.mixed_precision.set_global_policy("float32")
    return Row(model, pixels(5, *SHAPE), chain(*body), chain(*head))


def row_legacy_lstm_over_frames():
    tf_keras, layers = legacy()
    body = [layers.TimeDistributed(layers.Conv2D(6, 3, strides=2, activation="relu"))]
    head = [layers.TimeDistributed(layers.GlobalAveragePooling2D()), layers.LSTM(5), layers.Dense(4)]
    inputs = tf_keras.Input((3, *SHAPE))
    return Row(tf_keras.Model(inputs, chain(*body, *head)(inputs)), pixels(5, 3, *SHAPE), chain(*body), chain(*head))


def row_legacy_class_token():
    tf_keras, layers = legacy()

    class ClassToken(layers.Layer):
        def build(self, shape):
            self.token = self.add_weight("token", (1, 1, shape[-1]), initializer="random_normal")
            self.places = self.add_weight("places", (1, 1 + shape[1], shape[-1]), initializer="random_normal")

        def call(self, x):
            tokens = tf.repeat(self.token, tf.shape(x)[0], axis=0)
            return tf.concat([tokens, x], axis=1) + self.places

    def layer_norm():
        scale, offset = (tf_keras.initializers.RandomUniform(low, low + 1.0) for low in (0.5, 1.0))
        return layers.LayerNormalization(gamma_initializer=scale, beta_initializer=offset)

    body = [layers.Conv2D(8, 4, strides=4), layers.Reshape((12, 8)), ClassToken(), layer_norm()]
    attention, norm, classify = layers.MultiHeadAttention(2, 4), layer_norm(), layers.Dense(4)
    inputs, images = tf_keras.Input(SHAPE), pixels(5, *SHAPE)
    tokens = chain(*body[:3])(inputs)
    normed = body[3](tokens)
    model = tf_keras.Model(inputs, classify(norm(tokens + attention(normed, normed))[:, 0]))
    x, others = chain(*body[:3])(images), chain(*body)(images)[:, :1]

    def head(activations):
        normed = tf.concat([others, tf.reshape(activations, (-1, 12, 8))], axis=1)
        return classify(norm(x + attention(normed, normed))[:, 0])

    return Row(model, images, lambda x: tf.reshape(chain(*body)(x)[:, 1:], (-1, 4, 3, 8)), head)
