"""Small transformers that are written in several ways, with the same weights, and slow attentions to compare with."""

import keras
import numpy as np
import tensorflow as tf
from model_rows_tokens import DIM, GRID, SHAPE, Prefix

L = keras.layers
HEADS, BLOCKS = 2, 3


class ByHand(L.Layer):
    """The attention of Keras, written with einsum; it has the weights of one."""

    def __init__(self, like, **options):
        super().__init__(**options)
        self.like = like

    def call(self, x):
        ops = keras.ops
        queries, keys, values = (
            ops.einsum("ntc,chd->nthd", x, dense.kernel) + dense.bias
            for dense in (self.like._query_dense, self.like._key_dense, self.like._value_dense)
        )
        logits = ops.einsum("nqhd,nkhd->nhqk", queries, keys) / np.sqrt(DIM // HEADS)
        mixed = ops.einsum("nhqk,nkhd->nqhd", ops.softmax(logits, axis=-1), values)
        dense = self.like._output_dense
        return ops.einsum("nqhd,hdc->nqc", mixed, dense.kernel) + dense.bias


class Transformer:
    """A transformer of three blocks, as a model of each way of writing it, and as a slow one that tells its attentions.

    Parameters
    ----------
    read : {"token", "mean", "pool"}
        What the head reads: the first token, the mean of all, or what a learned query attends to.
    dropout : float
        That of the attentions, with which Keras computes them in another way.
    """

    def __init__(self, read="token", prefix=None, dropout=0.0, blocks=BLOCKS, seed=0):
        keras.utils.set_random_seed(seed)
        self.read, self.prefix = read, (1 if read == "token" else 0) if prefix is None else prefix
        self.patches, self.front = L.Conv2D(DIM, 4, strides=4, name="patches"), Prefix(self.prefix, name="front")
        some = keras.initializers.RandomNormal(0.0, 0.8)
        self.blocks = [
            {
                "norm1": L.LayerNormalization(),
                "attention": L.MultiHeadAttention(HEADS, DIM // HEADS, dropout=dropout, kernel_initializer=some),
                "norm2": L.LayerNormalization(),
                "mlp": L.Dense(DIM, activation="gelu"),
            }
            for _ in range(blocks)
        ]
        self.norm, self.classify = L.LayerNormalization(), L.Dense(4, kernel_initializer=some)
        self.probe = L.EinsumDense("ntc,cd->ntd", (1, DIM), bias_axes="td", bias_initializer=some)
        self.pool = L.MultiHeadAttention(HEADS, DIM // HEADS, kernel_initializer=some)
        self.model = self.model_of(lambda attention: lambda x: attention(x, x))
        rng = np.random.default_rng(seed)
        self.images = rng.normal(size=(3, *SHAPE)).astype("float32")
        self.labels = np.array([2, 0, 3])

    def model_of(self, written):
        """Return the model with each attention as `written` has it."""
        image, self.ends = keras.Input(SHAPE), []
        x = self.front(L.Reshape((GRID[0] * GRID[1], DIM))(self.patches(image)))
        for block in self.blocks:
            x = L.Add()([x, written(block["attention"])(block["norm1"](x))])
            x = L.Add()([x, block["mlp"](block["norm2"](x))])
            self.ends.append(x)
        return keras.Model(image, self.head(x))

    def head(self, x, told=None):
        x = self.norm(x)
        if self.read == "pool":
            nothing = L.Lambda(lambda one: keras.ops.zeros_like(one[:, :1]))(x)
            query = self.probe(nothing)
            x = self.pool(query, x) if told is None else told(self.pool, query, x)
        elif self.read == "token":
            x = x[:, :1]
        return self.classify(keras.ops.mean(x, axis=1))

    grid = GRID

    def tokens(self, images):
        """Return the tokens before the first block, and behind each."""
        tokens = [self.front(tf.reshape(self.patches(images), (len(images), -1, DIM)))]
        for block in self.blocks:
            normed = block["norm1"](tokens[-1])
            x = tokens[-1] + block["attention"](normed, normed)
            tokens.append(x + block["mlp"](block["norm2"](x)))
        return tokens

    def behind(self, x, count):
        """Return what the last blocks, so many, and the head make of tokens."""
        for block in self.blocks[len(self.blocks) - count :]:
            normed = block["norm1"](x)
            x = x + block["attention"](normed, normed)
            x = x + block["mlp"](block["norm2"](x))
        return self.head(x).numpy()

    def compared(self, images):
        """Return the queries and the keys ``(N, tokens, heads, channels)`` of each attention."""
        found = []

        def told(attention, queries, keys):
            found.append((attention._query_dense(queries).numpy(), attention._key_dense(keys).numpy()))
            return attention(queries, keys)

        x = self.front(tf.reshape(self.patches(images), (len(images), -1, DIM)))
        for block in self.blocks:
            normed = block["norm1"](x)
            x = x + told(block["attention"], normed, normed)
            x = x + block["mlp"](block["norm2"](x))
        self.head(x, told)
        return found

    def logits(self, images):
        """Return what the softmax of each attention is of, ``(N, heads, queries, keys)``."""
        pairs = self.compared(images)
        return [np.einsum("nqhd,nkhd->nhqk", *pair) / np.sqrt(DIM // HEADS) for pair in pairs]

    def slow(self, images, classes):
        """Return the probabilities, logits and gradients ``(N, heads, queries, keys)`` of each attention, recorded."""
        attentions, tokens = [], []
        with tf.GradientTape(persistent=True) as tape:

            def told(attention, queries, keys):
                mixed, probabilities = attention(queries, keys, return_attention_scores=True)
                attentions.append(probabilities)
                return mixed

            x = self.front(tf.reshape(self.patches(images), (len(images), -1, DIM)))
            for block in self.blocks:
                normed = block["norm1"](x)
                x = x + told(block["attention"], normed, normed)
                x = x + block["mlp"](block["norm2"](x))
                tokens.append(x)
            scores = tf.reduce_sum(tf.gather(self.head(x, told), classes, batch_dims=1))
            # What the head makes of each block: of the mean of its tokens, or pooled by its attention.
            heads, pools = [], []
            for one in tokens:
                mean = tf.broadcast_to(tf.reduce_mean(one, axis=1, keepdims=True), one.shape)
                before = len(attentions)
                outputs = self.head(one if self.read == "pool" else mean, told)
                pools += attentions[before:]
                del attentions[before:]
                heads.append(tf.reduce_sum(tf.gather(outputs, classes, batch_dims=1)))
        gradients = [tape.gradient(scores, one) for one in attentions]
        sources = pools or attentions
        of_blocks = [tape.gradient(score, one) for score, one in zip(heads, sources, strict=False)]
        numpy = lambda each: [one.numpy() for one in each]  # noqa: E731
        return numpy(attentions), numpy(gradients), numpy(of_blocks)
