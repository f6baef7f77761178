"""Kinds of model whose layers stand inside something else: custom layers, other models, files, loops over frames."""

import tempfile
from pathlib import Path

import keras
import tensorflow as tf
from model_rows import SHAPE, Row, Subclassed, chain, functional, parts, pixels, row_functional

L = keras.layers


@keras.saving.register_keras_serializable("tfcam_tests")
class OwnConvolution(L.Layer):
    """A layer that convolves by itself, with no Keras convolution inside."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(3, 3, shape[-1], 6), name="kernel")

    def call(self, inputs):
        return tf.nn.relu(tf.nn.conv2d(inputs, self.kernel, strides=2, padding="SAME"))


def row_own_convolution():
    own, head = OwnConvolution(name="own"), parts()[1]
    return Row(functional([own, *head], SHAPE), pixels(5, *SHAPE), own, chain(*head))


class Residual(L.Layer):
    """A block of layers, called inside a layer."""

    def __init__(self):
        super().__init__(name="residual")
        self.inner = L.Conv2D(6, 3, padding="same", activation="relu", name="inner")
        self.outer = L.Conv2D(6, 3, padding="same", name="outer")
        self.add = L.Add()

    def call(self, inputs):
        return tf.nn.relu(self.add([inputs, self.outer(self.inner(inputs))]))


def row_block_of_layers_in_a_layer():
    body, head = parts()
    block = Residual()
    return Row(functional([*body, block, *head], SHAPE), pixels(5, *SHAPE), chain(*body, block), chain(*head))


def row_layer_inside_a_block():
    """The layer named is inside the block, and what leaves the block goes around it."""
    body, head = parts()
    block, images = Residual(), pixels(5, *SHAPE)
    model = functional([*body, block, *head], SHAPE)
    around = chain(*body)(images)

    def rest(activations):
        return chain(*head)(tf.nn.relu(block.add([around, block.outer(activations)])))

    return Row(model, images, chain(*body, block.inner), rest, {"conv_layer": "residual/inner"})


class Wrapper(keras.Model):
    """A model around another one, such as one that prepares its images."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def call(self, inputs):
        return self.model(inputs * 2.0 - 0.5)


def row_model_wrapped_in_anothers_call():
    row = row_functional()
    body = row.body
    row.model, row.body = Wrapper(row.model), lambda x: body(x * 2.0 - 0.5)
    return row


def row_wrapped_twice():
    body, head = parts()
    model = Wrapper(Subclassed([keras.Sequential(body)], head))
    return Row(model, pixels(5, *SHAPE), lambda x: chain(*body)(x * 2.0 - 0.5), chain(*head))


def reloaded(model, ending):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"model{ending}"
        model.save(file)
        return keras.models.load_model(file)


def row_loaded_from_keras():
    row = row_functional()
    row.model = reloaded(row.model, ".keras")
    return row


def row_loaded_from_h5():
    row = row_functional()
    row.model = reloaded(row.model, ".h5")
    return row


def row_own_convolution_loaded():
    row = row_own_convolution()
    row.model = reloaded(row.model, ".keras")
    return row


def row_cloned():
    row = row_functional()
    clone = keras.models.clone_model(row.model)
    clone.set_weights(row.model.get_weights())
    row.model = clone
    return row


def recurrent(cell):
    body = [
        L.TimeDistributed(L.Conv2D(6, 3, padding="same", activation="relu")),
        L.TimeDistributed(L.Conv2D(6, 3, strides=2, padding="same", activation="relu")),
    ]
    head = [L.TimeDistributed(L.GlobalAveragePooling2D()), cell, L.Dense(4)]
    return Row(functional([*body, *head], (3, *SHAPE)), pixels(5, 3, *SHAPE), chain(*body), chain(*head))


def row_lstm_over_frames():
    return recurrent(L.LSTM(5))


def row_bidirectional_gru_over_frames():
    return recurrent(L.Bidirectional(L.GRU(5)))


def row_attention_gate():
    """Squeeze and excite: the activations are weighted by what is pooled from them."""
    body, head = parts()
    gate = [L.GlobalAveragePooling2D(keepdims=True), L.Dense(3, activation="relu"), L.Dense(6, activation="sigmoid")]
    inputs = keras.Input(SHAPE)
    features = chain(*body)(inputs)
    model = keras.Model(inputs, chain(*head)(L.Multiply(name="gated")([features, chain(*gate)(features)])))
    images = pixels(5, *SHAPE)
    return Row(model, images, lambda x: (a := chain(*body)(x)) * chain(*gate)(a), chain(*head))


def row_u_net():
    """The output has a grid itself: its mean over the grid is explained, at the coarsest activation."""
    down, bottom = parts()[0]
    up = L.Conv2DTranspose(6, 3, strides=2, padding="same", activation="relu")
    join, classify = L.Concatenate(), L.Conv2D(4, 1)
    inputs = keras.Input(SHAPE)
    fine = down(inputs)
    model = keras.Model(inputs, classify(join([fine, up(bottom(fine))])))
    images = pixels(5, *SHAPE)
    skipped = down(images)

    def head(activations):
        return tf.reduce_mean(classify(join([skipped, up(activations)])), axis=[1, 2])

    return Row(model, images, chain(down, bottom), head)


def row_bilinear_u_net_of_any_size():
    """Keras makes this one for a size that it knows, not for any."""
    down = L.Conv2D(6, 3, strides=2, padding="same", activation="relu")
    up, classify = L.UpSampling2D(2, interpolation="bilinear"), L.Conv2D(4, 1)
    model = functional([down, up, classify], (None, None, 3))

    def head(activations):
        return tf.reduce_mean(classify(up(activations)), axis=[1, 2])

    return Row(model, pixels(5, *SHAPE), down, head)


def row_pointwise_dense():
    """A Dense layer on each cell of the grid is a convolution of one cell, and its output the last activation."""
    body, head = parts()
    body.append(L.Dense(5, activation="relu", name="pointwise"))
    return Row(functional(body + head, SHAPE), pixels(5, *SHAPE), chain(*body), chain(*head))


def row_attention_over_convolutions():
    """What the attention makes of all cells is pooled, so that it is explained, as tokens are."""
    body, _ = parts()
    tokens, attention = L.Reshape((48, 6)), L.MultiHeadAttention(2, 3)
    pool, classify = L.GlobalAveragePooling1D(), L.Dense(4)
    inputs = keras.Input(SHAPE)
    seen = tokens(chain(*body)(inputs))
    model = keras.Model(inputs, classify(pool(attention(seen, seen))))

    def attended(images):
        seen = tokens(chain(*body)(images))
        return L.Reshape((8, 6, 6))(attention(seen, seen))

    return Row(model, pixels(5, *SHAPE), attended, lambda activations: classify(pool(tokens(activations))))
