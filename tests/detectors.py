"""Small detectors of plain layers, of random weights."""

import functools

import keras
import numpy as np
import tensorflow as tf

import tfcam

CLASSES, SIZE = 4, 32


def _trunk(layers, size=(SIZE, SIZE)):
    image = keras.Input((*size, 3), name="image")
    x = layers.Conv2D(8, 3, 2, padding="same", activation="relu", name="stem")(image)
    fine = layers.Conv2D(8, 3, 2, padding="same", activation="relu", name="p3")(x)
    coarse = layers.Conv2D(8, 3, 2, padding="same", activation="relu", name="p4")(fine)
    return image, fine, coarse


def _middles(level, stride):
    """Return the middles of the cells of a level in pixels, row by row, as x and y."""
    rows, columns = ((np.arange(size, dtype=np.float32) + 0.5) * stride for size in level.shape[1:3])
    return np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2)


def pyramid_detector(size=(SIZE, SIZE), seed=0):
    """Two levels with one head each for class and box, whose layers are called at both; boxes in pixels."""
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    image, fine, coarse = _trunk(layers, size)
    hidden = {
        name: layers.Conv2D(8, 3, padding="same", activation="relu", name=f"{name}_conv") for name in ("class", "box")
    }
    last = {
        name: layers.Conv2D(units, 3, padding="same", name=f"{name}_out")
        for name, units in (("class", CLASSES), ("box", 4))
    }
    rows = {
        name: [layers.Reshape((-1, last[name].filters))(last[name](hidden[name](level))) for level in (fine, coarse)]
        for name in hidden
    }
    sides = layers.Concatenate(axis=1)(
        [keras.ops.softplus(x) * stride for x, stride in zip(rows["box"], (4, 8), strict=True)]
    )
    middles = np.tile(np.concatenate([_middles(fine, 4), _middles(coarse, 8)]), 2)
    boxes = sides * np.float32([-1, -1, 1, 1]) + middles
    classes = layers.Activation("sigmoid", name="classes")(layers.Concatenate(axis=1, name="logits")(rows["class"]))
    return keras.Model(image, {"boxes": boxes, "classes": classes}, name="pyramid")


def yolo_detector(seed=0):
    """One output ``(N, 4 + C, A)`` as Ultralytics exports it: middles and sizes as shares, probabilities."""
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    image, fine, coarse = _trunk(layers)
    levels = []
    for name, level in (("p3", fine), ("p4", coarse)):
        x = layers.Conv2D(8, 3, padding="same", activation="silu", name=f"{name}_class")(level)
        y = layers.Conv2D(8, 3, padding="same", activation="silu", name=f"{name}_box")(level)
        parts = [layers.Conv2D(4, 1, activation="sigmoid")(y), layers.Conv2D(CLASSES, 1, activation="sigmoid")(x)]
        levels.append(layers.Reshape((-1, 4 + CLASSES))(layers.Concatenate()(parts)))
    rows = layers.Concatenate(axis=1)(levels)
    return keras.Model(image, layers.Permute((2, 1))(rows), name="yolo")


class Queries(keras.layers.Layer):
    """Queries that are learned, the same for every image."""

    def build(self, shape):
        self.queries = self.add_weight(shape=(1, 5, shape[-1]), initializer="random_normal", name="queries")

    def call(self, tokens):
        return keras.ops.repeat(self.queries, keras.ops.shape(tokens)[0], axis=0)


def detr_detector(seed=0):
    """Five queries that ask the tokens of an encoder; a softmax over the classes and none."""
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    image, _, coarse = _trunk(layers)
    tokens = layers.Reshape((-1, 8), name="tokens")(coarse)
    tokens = layers.LayerNormalization(name="memory")(
        tokens + layers.MultiHeadAttention(2, 4, name="encoder")(tokens, tokens)
    )
    queries = Queries(name="queries")(tokens)
    for number in range(2):
        queries = queries + layers.MultiHeadAttention(2, 4, name=f"self{number}")(queries, queries)
        queries = layers.LayerNormalization()(
            queries + layers.MultiHeadAttention(2, 4, name=f"ask{number}")(queries, tokens)
        )
    outputs = {
        "logits": layers.Dense(CLASSES + 1, name="logits")(queries),
        "pred_boxes": layers.Dense(4, activation="sigmoid", name="pred_boxes")(queries),
    }
    return keras.Model(image, outputs, name="detr")


#: The detectors, the options of the operator, and the layers that are explained.
DETECTORS = {
    "pyramid": (pyramid_detector, {}, ["p3", "p4"]),
    "yolo": (yolo_detector, {}, ["p3", "p4"]),
    "detr": (detr_detector, {"background": -1}, "memory"),
}


@functools.cache
def detector(name):
    return DETECTORS[name][0]()


def operator_of(name, **options):
    return tfcam.Detection(**({"threshold": 0.0} | DETECTORS[name][1] | options))


@functools.cache
def pictures(count=2, seed=0):
    return np.random.default_rng(seed).uniform(0, 1, (count, SIZE, SIZE, 3)).astype("float32")


def predictions(name, images):
    """Return boxes in pixels and probabilities of every prediction, in NumPy."""
    outputs = detector(name)(images)
    if name == "pyramid":
        return outputs["boxes"].numpy(), outputs["classes"].numpy()
    if name == "yolo":
        middles, classes = outputs.numpy()[:, :4].transpose(0, 2, 1), outputs.numpy()[:, 4:].transpose(0, 2, 1)
    else:
        middles, classes = outputs["pred_boxes"].numpy(), tf.nn.softmax(outputs["logits"]).numpy() * [1, 1, 1, 1, 0]
    low, high = middles[..., :2] - middles[..., 2:] / 2, middles[..., :2] + middles[..., 2:] / 2
    return np.concatenate([low, high], axis=-1) * SIZE, classes
