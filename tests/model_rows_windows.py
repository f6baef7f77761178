"""Kinds of model between convolutions and plain transformers: windows, stages, and tokens that others ask."""

import keras
import numpy as np
import tensorflow as tf
from model_rows import Row, chain, pixels
from model_rows_tokens import DIM, GRID, SHAPE, Attention, Block, Prefix, embedding, layer_norm, on_a_grid, pooled

L = keras.layers


class WindowAttention(L.Layer):
    """An attention within windows of 2 x 2 tokens of a grid, which may be shifted by one, as in a Swin transformer."""

    def __init__(self, grid, shift, **options):
        super().__init__(**options)
        self.grid, self.shift = grid, shift
        self.attention = L.MultiHeadAttention(2, 4)

    def build(self, shape):
        self.attention.build((None, 4, shape[-1]), (None, 4, shape[-1]))

    def call(self, x):
        ops, (height, width), channels = keras.ops, self.grid, x.shape[-1]
        x = ops.roll(ops.reshape(x, (-1, height, width, channels)), (-self.shift, -self.shift), (1, 2))
        x = ops.reshape(x, (-1, height // 2, 2, width // 2, 2, channels))
        windows = ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, 4, channels))
        windows = self.attention(windows, windows)
        x = ops.reshape(windows, (-1, height // 2, width // 2, 2, 2, channels))
        x = ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, height, width, channels))
        return ops.reshape(ops.roll(x, (self.shift, self.shift), (1, 2)), (-1, height * width, channels))


class Merging(L.Layer):
    """Put the four tokens of each square together, as channels of one."""

    def __init__(self, grid, **options):
        super().__init__(**options)
        self.grid, self.project = grid, L.Dense(DIM, use_bias=False)

    def build(self, shape):
        self.project.build((None, None, 4 * shape[-1]))

    def call(self, x):
        (height, width), channels = self.grid, x.shape[-1]
        x = keras.ops.reshape(x, (-1, height, width, channels))
        corners = [x[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        merged = keras.ops.concatenate(corners, axis=-1)
        return self.project(keras.ops.reshape(merged, (-1, height * width // 4, 4 * channels)))


class Windowed:
    """What the attention of a block is, within windows."""

    def __init__(self, grid, shift):
        self.layer = WindowAttention(grid, shift)

    def __call__(self, x):
        return self.layer(x)


def swin(shift):
    """Return a row of two stages, 8 x 8 and 4 x 4 tokens."""
    shape = (32, 32, 3)
    first = [L.Conv2D(DIM, 4, strides=4), L.Reshape((64, DIM)), Block(Windowed, grid=(8, 8), shift=0)]
    body = [
        *first,
        Block(Windowed, grid=(8, 8), shift=shift),
        Merging((8, 8)),
        Block(Windowed, grid=(4, 4), shift=shift),
    ]
    body.append(layer_norm())
    head = [L.GlobalAveragePooling1D(), L.Dense(4)]
    inputs = keras.Input(shape)
    model = keras.Model(inputs, chain(*body, *head)(inputs))
    return on_a_grid(model, pixels(5, *shape), chain(*body), chain(*head), grid=(4, 4))


def row_windows():
    return swin(0)


def row_shifted_windows():
    return swin(1)


def row_tokens_pooled_by_attention():
    """A learned query asks all tokens, as the head of SigLIP does."""

    class Probe(L.Layer):
        def build(self, shape):
            self.probe = self.add_weight(
                shape=(1, 1, DIM), initializer=keras.initializers.RandomNormal(0.0, 3.0), name="probe"
            )
            self.attention = L.MultiHeadAttention(2, 4)
            self.attention.build((None, 1, DIM), (None, shape[1], DIM))

        def call(self, x):
            probe = keras.ops.repeat(self.probe, keras.ops.shape(x)[0], axis=0)
            return self.attention(probe, x)[:, 0]

    return pooled(0, [Probe()])


def row_compact_transformer():
    """Convolutions make the tokens, and weights of their own pool them, as in CCT."""

    class SequencePooling(L.Layer):
        def build(self, shape):
            self.weigh = L.Dense(1)
            self.weigh.build(shape)

        def call(self, x):
            weights = keras.ops.softmax(self.weigh(x), axis=1)
            return keras.ops.squeeze(keras.ops.matmul(keras.ops.transpose(weights, (0, 2, 1)), x), axis=1)

    convolutions = [L.Conv2D(DIM, 3, padding="same", activation="relu"), L.MaxPooling2D(2)]
    again = [L.Conv2D(DIM, 3, padding="same", activation="relu"), L.MaxPooling2D(2), L.Reshape((12, DIM))]
    return pooled(0, [SequencePooling()], embed=[*convolutions, *again])


def row_class_attention():
    """The class token comes in behind the blocks, and asks the patches, as in CaiT."""
    body = [*embedding(), Prefix(0), Block()]
    norms = [layer_norm() for _ in range(2)]
    asks, classify, token = [L.MultiHeadAttention(2, 4) for _ in range(2)], L.Dense(4), Prefix(1)

    def asked(number, token, x):
        normed = norms[number](keras.ops.concatenate([token, x], axis=1))
        return normed, token + asks[number](normed[:, :1], normed)

    def before(images):
        x = chain(*body)(images)
        tokens = token(x)
        first = tokens[:, :1]
        _, first = asked(0, first, tokens[:, 1:])
        return first, tokens[:, 1:]

    inputs, images = keras.Input(SHAPE), pixels(5, *SHAPE)
    first, x = before(inputs)
    model = keras.Model(inputs, classify(asked(1, first, x)[1][:, 0]))
    first, _ = before(images)
    body_of = lambda x: asked(1, *before(x))[0]  # noqa: E731
    head = lambda normed: classify((first + asks[1](normed[:, :1], normed))[:, 0])  # noqa: E731
    return on_a_grid(model, images, body_of, head, 1)


def row_cross_attention():
    """A few learned queries ask the pixels, as in a Perceiver; what they find has no place."""

    class Latents(L.Layer):
        def build(self, shape):
            self.latents = self.add_weight(shape=(1, 3, DIM), initializer="random_normal", name="latents")

        def call(self, x):
            return keras.ops.repeat(self.latents, keras.ops.shape(x)[0], axis=0)

    body = [*embedding(), Prefix(0), layer_norm()]
    latents, ask, block = Latents(), L.MultiHeadAttention(2, 4), Block(Attention)
    head = [block, L.GlobalAveragePooling1D(), L.Dense(4)]

    def asked(x):
        return chain(*head)(ask(latents(x), x))

    inputs = keras.Input(SHAPE)
    model = keras.Model(inputs, asked(chain(*body)(inputs)))
    return on_a_grid(model, pixels(5, *SHAPE), chain(*body), asked)


def row_hybrid_of_convolutions_and_tokens():
    """Convolutions, and attentions whose heads stand in front of the positions, as in LeViT; then a grid again."""
    attend, project = L.Dense(3 * DIM), L.Dense(DIM)

    def attention(x):
        ops = keras.ops
        heads = ops.transpose(ops.reshape(attend(x), (-1, 12, 2, 3 * DIM // 2)), (0, 2, 1, 3))
        queries, keys, values = ops.split(heads, 3, axis=-1)
        weights = ops.softmax(ops.matmul(queries, ops.transpose(keys, (0, 1, 3, 2))))
        mixed = ops.transpose(ops.matmul(weights, values), (0, 2, 1, 3))
        return x + project(ops.silu(ops.reshape(mixed, (-1, 12, DIM))))

    stem = [L.Conv2D(DIM, 3, strides=2, padding="same", activation="relu"), L.Conv2D(DIM, 3, strides=2, padding="same")]
    body = [*stem, L.Reshape((12, DIM)), attention, L.Reshape((*GRID, DIM)), L.BatchNormalization()]
    head = [L.GlobalAveragePooling2D(), L.Dense(4)]
    inputs = keras.Input(SHAPE)
    model = keras.Model(inputs, chain(*body, *head)(inputs))
    return Row(model, pixels(5, *SHAPE), chain(*body), chain(*head))


def row_tokens_in_a_nested_backbone():
    def nested(inputs, outputs):
        return keras.Sequential([keras.Input(SHAPE), keras.Model(inputs, outputs, name="backbone"), L.Softmax()])

    return pooled(0, [L.GlobalAveragePooling1D()], build=nested)


def row_tokens_of_a_subclassed_model():
    body = [*embedding(), Prefix(1), Block()]
    last, norm, classify = Block(), layer_norm(), L.Dense(4)

    class Transformer(keras.Model):
        def __init__(self):
            super().__init__()
            self.parts = [*(vars(body[3]).values()), *vars(last).values()]
            self.embed, self.norm, self.classify = body[:3], norm, classify

        def call(self, images):
            return self.classify(self.norm(last(chain(*body)(images)))[:, 0])

    images = pixels(5, *SHAPE)
    x = chain(*body)(images)
    return on_a_grid(
        Transformer(), images, chain(*body, last.norm1), lambda n: classify(norm(last.after(n, x))[:, 0]), 1
    )


def row_tokens_in_half_precision():
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        # Of an affine head one gradient tells all masks, and it is rounded to the half precision of the tokens.
        head = [L.GlobalAveragePooling1D(dtype="float32"), L.Dense(6, activation="gelu", dtype="float32")]
        row = pooled(1, head, classify=L.Dense(4, dtype="float32"))
    finally:
        keras.mixed_precision.set_global_policy("float32")
    return row


def row_tokens_of_a_series():
    """Patches of a series are a row of tokens."""
    body = [L.Conv1D(DIM, 4, strides=4), Prefix(1), Block(), layer_norm()]
    head = [L.GlobalAveragePooling1D(), L.Dense(4)]
    inputs, series = keras.Input((32, 2)), pixels(5, 32, 2)
    model = keras.Model(inputs, chain(*body, *head)(inputs))
    first = chain(*body)(series)[:, :1]

    def from_cells(activations):
        return chain(*head)(tf.concat([first, activations], axis=1))

    return Row(model, series, lambda x: chain(*body)(x)[:, 1:], from_cells)


def row_tokens_of_a_volume():
    """Patches of a film are three axes merged in one."""
    shape, grid = (4, 8, 12, 2), (2, 2, 3)
    body = [
        L.Conv3D(DIM, (2, 4, 4), strides=(2, 4, 4)),
        L.Reshape((12, DIM)),
        Prefix(0),
        Block(),
        layer_norm(),
    ]
    head = [L.GlobalAveragePooling1D(), L.Dense(4)]
    inputs, films = keras.Input(shape), pixels(5, *shape)
    model = keras.Model(inputs, chain(*body, *head)(inputs))
    return Row(
        model,
        films,
        lambda x: tf.reshape(chain(*body)(x), (-1, *grid, DIM)),
        lambda a: chain(*head)(tf.reshape(a, (-1, np.prod(grid), DIM))),
    )
