"""The attentions of a run: the same however a model is written, and those that its own layers tell."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from attention_models import DIM, GRID, HEADS, SHAPE, ByHand, Transformer

import tfcam

L = keras.layers


def attentions(model, images, labels=None, **options):
    """Return the probabilities and the gradients of a model's attentions as a run has them, of all tokens."""
    explainer = tfcam.AttentionRelevance(model, **options)
    session = explainer.session
    explainer.explain(images, labels)
    found = []
    for x, targets in session.pairs(images, labels):
        read = session.known.read(targets, len(x))
        formula = lambda run: [(one.matrix(), one.matrix(one.gradients)) for one in run.attentions()]  # noqa: E731
        found.append(session.compute(formula, x, read))
    return [[np.concatenate(parts) for parts in zip(*each, strict=True)] for each in zip(*found, strict=True)]


@pytest.mark.parametrize("read", ["token", "mean", "pool"])
def test_attentions_are_those_that_the_layers_tell(read):
    transformer = Transformer(read)
    images, labels = transformer.images, transformer.labels
    probabilities, gradients, _ = transformer.slow(images, labels)
    found = attentions(transformer.model, images, labels)
    assert len(found) == len(probabilities)
    for (one, gradient), wanted, wanted_gradient in zip(found, probabilities, gradients, strict=True):
        np.testing.assert_allclose(one, wanted, atol=5e-6)
        np.testing.assert_allclose(gradient, wanted_gradient, atol=1e-6, rtol=1e-4)


def test_attentions_are_the_same_however_they_are_written():
    transformer = Transformer()
    by_hand = transformer.model_of(ByHand)
    dropped = Transformer(dropout=0.3)
    dropped.model.set_weights(transformer.model.get_weights())
    subclassed = Subclassed(transformer)
    images, labels = transformer.images, transformer.labels
    wanted = attentions(transformer.model, images, labels)
    for model in (by_hand, dropped.model, subclassed):
        np.testing.assert_allclose(model(images), transformer.model(images), atol=1e-5)
        found = attentions(model, images, labels)
        for pair, wanted_pair in zip(found, wanted, strict=True):
            np.testing.assert_allclose(pair[0], wanted_pair[0], atol=1e-5)
            np.testing.assert_allclose(pair[1], wanted_pair[1], atol=1e-5)


class Subclassed(keras.Model):
    """The transformer in one ``call``, without a layer for what it adds and reads."""

    def __init__(self, transformer):
        super().__init__()
        self.own = transformer
        self.patches, self.front, self.norm, self.classify = (
            transformer.patches,
            transformer.front,
            transformer.norm,
            transformer.classify,
        )
        self.parts = [part for block in transformer.blocks for part in block.values()]

    def call(self, images):
        x = keras.ops.reshape(self.patches(images), (-1, GRID[0] * GRID[1], DIM))
        x = self.front(x)
        for block in self.own.blocks:
            normed = block["norm1"](x)
            x = x + block["attention"](normed, normed)
            x = x + block["mlp"](block["norm2"](x))
        return self.classify(self.norm(x)[:, 0])


def test_heads_that_share_keys_are_heads_of_their_own():
    image = keras.Input(SHAPE)
    x = L.Reshape((GRID[0] * GRID[1], DIM))(L.Conv2D(DIM, 4, strides=4)(image))
    grouped = L.GroupQueryAttention(4, 4, 2)
    x = L.Add()([x, grouped(x, x)])
    model = keras.Model(image, L.Dense(4)(L.GlobalAveragePooling1D()(x)))
    images = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype("float32")
    [(probabilities, _)] = attentions(model, images)
    tokens = tf.reshape(model.layers[1](images), (2, -1, DIM))
    _, wanted = grouped(tokens, tokens, return_attention_scores=True)
    np.testing.assert_allclose(probabilities, wanted, atol=1e-6)


def test_windows_are_placed_back_on_the_grid():
    """An attention within shifted windows is the one of all tokens whose other pairs have nothing."""
    size, window, shift = 8, 4, 2
    attention = L.MultiHeadAttention(HEADS, DIM // HEADS)
    image = keras.Input((32, 32, 3))
    grid = L.Conv2D(DIM, 4, strides=4)(image)
    ops = keras.ops

    def windows(x):
        x = ops.reshape(ops.roll(x, (-shift, -shift), (1, 2)), (-1, 2, window, 2, window, DIM))
        return ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, window * window, DIM))

    def back(x):
        x = ops.transpose(ops.reshape(x, (-1, 2, 2, window, window, DIM)), (0, 1, 3, 2, 4, 5))
        return ops.roll(ops.reshape(x, (-1, size, size, DIM)), (shift, shift), (1, 2))

    cut = windows(grid)
    mixed = L.Add()([grid, back(attention(cut, cut))])
    model = keras.Model(image, L.Dense(4)(L.GlobalAveragePooling2D()(mixed)))
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    [(found, _)] = attentions(model, images)
    tokens = model.layers[1](images)
    cells = tf.range(size * size)
    numbers = windows(tf.tile(tf.reshape(tf.cast(cells, tf.float32), (1, size, size, 1)), (1, 1, 1, DIM)))
    numbers = tf.cast(numbers, tf.int32).numpy()[..., 0]
    _, probabilities = attention(windows(tokens), windows(tokens), return_attention_scores=True)
    probabilities = tf.reshape(probabilities, (2, len(numbers), HEADS, window**2, window**2)).numpy()
    wanted = np.zeros((2, HEADS, size * size, size * size))
    for number, places in enumerate(numbers):
        for query, at in enumerate(places):
            wanted[:, :, at, places] = probabilities[:, number, :, query]
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_half_precision_gives_the_attentions_of_full_precision():
    transformer = Transformer()
    # Without scaling, gradients of so small a score are none in half precision.
    small = {"operator": lambda model, x, y: 1e-6 * tf.cast(model(x)[:, 0], tf.float32)}
    wanted = attentions(transformer.model, transformer.images, **small)
    keras.config.set_dtype_policy("mixed_float16")
    try:
        half = Transformer()
    finally:
        keras.config.set_dtype_policy("float32")
    half.model.set_weights(transformer.model.get_weights())
    found = attentions(half.model, transformer.images, **small)
    for pair, wanted_pair in zip(found, wanted, strict=True):
        np.testing.assert_allclose(pair[0], wanted_pair[0], atol=0.02)
        np.testing.assert_allclose(pair[1], wanted_pair[1], atol=0.03 * np.abs(wanted_pair[1]).max())
