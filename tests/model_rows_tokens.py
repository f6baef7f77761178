"""Kinds of model whose last activations are tokens: transformers, mixers, and what stands between them and CNNs."""

import keras
import tensorflow as tf
from model_rows import Row, chain, pixels

L = keras.layers
#: Images whose patches of 4 pixels are a grid of 3 rows and 4 columns.
SHAPE, GRID, DIM = (12, 16, 3), (3, 4), 8


def layer_norm():
    """Return a layer norm whose channels sum to something: those of a new one sum to nothing at each token."""
    scale, offset = (keras.initializers.RandomUniform(low, low + 1.0) for low in (0.5, 1.0))
    return L.LayerNormalization(gamma_initializer=scale, beta_initializer=offset)


class Prefix(L.Layer):
    """Put learned tokens in front of those of patches, and add what each place is."""

    def __init__(self, count, **options):
        super().__init__(**options)
        self.count = count

    def build(self, shape):
        self.tokens = self.add_weight(shape=(1, self.count, shape[-1]), initializer="random_normal", name="tokens")
        places = (1, self.count + shape[1], shape[-1])
        self.places = self.add_weight(shape=places, initializer="random_normal", name="places")

    def call(self, x):
        if self.count:
            tokens = keras.ops.broadcast_to(self.tokens, (keras.ops.shape(x)[0], self.count, x.shape[-1]))
            x = keras.ops.concatenate([keras.ops.cast(tokens, x.dtype), x], axis=1)
        return x + keras.ops.cast(self.places, x.dtype)


class Attention:
    """The attention of Keras."""

    def __init__(self, **options):
        self.layer = L.MultiHeadAttention(2, 4, **options)

    def __call__(self, x):
        return self.layer(x, x)


class Fused:
    """An attention by hand, whose queries, keys and values come from one layer."""

    def __init__(self):
        self.qkv, self.out = L.Dense(3 * DIM), L.Dense(DIM)

    def __call__(self, x):
        ops, count = keras.ops, x.shape[1]
        heads = ops.transpose(ops.reshape(self.qkv(x), (-1, count, 3, 2, DIM // 2)), (2, 0, 3, 1, 4))
        queries, keys, values = heads[0], heads[1], heads[2]
        weights = ops.softmax(ops.matmul(queries, ops.swapaxes(keys, 2, 3)) / 2.0)
        mixed = ops.transpose(ops.matmul(weights, values), (0, 2, 1, 3))
        return self.out(ops.reshape(mixed, (-1, count, DIM)))


class Mixer:
    """What a Dense layer makes of all tokens, channel by channel."""

    def __init__(self):
        self.layers = L.Permute((2, 1)), L.Dense(6, activation="gelu"), L.Dense(GRID[0] * GRID[1]), L.Permute((2, 1))

    def __call__(self, x):
        return chain(*self.layers)(x)


class Block:
    """A block of a transformer, in the two parts that its first norm divides it into."""

    def __init__(self, mix=Attention, **options):
        self.norm1, self.norm2, self.mix = layer_norm(), layer_norm(), mix(**options)
        self.mlp = L.Dense(2 * DIM, activation="gelu"), L.Dense(DIM)

    def after(self, normed, x):
        x = x + self.mix(normed)
        return x + chain(*self.mlp)(self.norm2(x))

    def __call__(self, x):
        return self.after(self.norm1(x), x)


def embedding():
    return [L.Conv2D(DIM, 4, strides=4, name="patches"), L.Reshape((GRID[0] * GRID[1], DIM))]


def on_a_grid(model, images, body, head, prefix=0, grid=GRID, **options):
    """Return the row of a model whose tokens are computed by `body`, `prefix` of them in front of those of a grid."""
    others = body(images)[:, :prefix]

    def tokens_as_grid(x):
        tokens = body(x)[:, prefix:]
        return tf.reshape(tokens, (-1, *grid, tokens.shape[-1]))

    def from_grid(activations):
        tokens = tf.reshape(activations, (-1, grid[0] * grid[1], activations.shape[-1]))
        return head(tf.concat([others, tokens], axis=1) if prefix else tokens)

    return Row(model, images, tokens_as_grid, from_grid, **options)


def pooled(prefix, pool, mix=Attention, embed=None, build=None, classify=None, **options):
    """Return a row where all tokens are pooled or flattened: what enters that, behind the final norm, is explained."""
    body = [
        *(embed or embedding()),
        Prefix(prefix),
        Block(mix, **options),
        Block(mix, **options),
        layer_norm(),
    ]
    head = [*pool, classify or L.Dense(4)]
    inputs = keras.Input(SHAPE)
    model = (build or keras.Model)(inputs, chain(*body, *head)(inputs))
    return on_a_grid(model, pixels(5, *SHAPE), chain(*body), chain(*head), prefix)


def by_class_token(prefix, read, mix=Attention, **options):
    """Return a row where tokens in front are read: the first norm of the last block is explained."""
    body = [*embedding(), Prefix(prefix), Block(mix, **options)]
    last, norm, classify = Block(mix, **options), layer_norm(), read()
    inputs, images = keras.Input(SHAPE), pixels(5, *SHAPE)
    model = keras.Model(inputs, classify(norm(last(chain(*body)(inputs)))))
    x = chain(*body)(images)
    return on_a_grid(model, images, chain(*body, last.norm1), lambda n: classify(norm(last.after(n, x))), prefix)


def first_token():
    classify = L.Dense(4)
    return lambda tokens: classify(tokens[:, 0])


def row_tokens_flattened():
    """The example of keras.io: patches that are cut out, no class token, dropout, and a Flatten."""

    class Patches(L.Layer):
        def call(self, images):
            patches = keras.ops.image.extract_patches(images, 4)
            return keras.ops.reshape(patches, (-1, GRID[0] * GRID[1], 4 * 4 * 3))

    head = [L.Flatten(), L.Dropout(0.5), L.Dense(6, activation="gelu")]
    return pooled(0, head, embed=[Patches(), L.Dense(DIM)], dropout=0.1)


def row_class_token():
    return by_class_token(1, first_token)


def row_class_token_with_dropout():
    """Keras then runs the softmax of its attention as a layer."""
    return by_class_token(1, first_token, dropout=0.1)


def row_class_token_and_distillation_token():
    def read():
        heads = L.Dense(4), L.Dense(4)
        return lambda tokens: (heads[0](tokens[:, 0]) + heads[1](tokens[:, 1])) / 2.0

    return by_class_token(2, read)


def row_class_token_and_registers():
    return by_class_token(5, first_token)


def row_class_token_of_fused_attention():
    return by_class_token(1, first_token, mix=Fused)


def row_tokens_pooled_with_class_token():
    return pooled(1, [L.GlobalAveragePooling1D()])


def row_tokens_pooled():
    return pooled(0, [L.GlobalAveragePooling1D()])


def row_tokens_of_reshaped_patches():
    """Patches that are cut out by reshapes and a transpose: a Dense layer is the convolution."""
    cut = [L.Reshape((GRID[0], 4, GRID[1], 4, 3)), L.Permute((1, 3, 2, 4, 5)), L.Reshape((GRID[0] * GRID[1], 48))]
    return pooled(0, [L.GlobalAveragePooling1D()], embed=[*cut, L.Dense(DIM)])


def row_mixer():
    return pooled(0, [L.GlobalAveragePooling1D()], mix=Mixer)
