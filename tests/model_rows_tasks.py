"""Kinds of model that do not classify: masks, distances, embeddings, several heads."""

import keras
import numpy as np
import tensorflow as tf
from model_rows import SHAPE, Row, chain, functional, parts, pixels

import tfcam

L = keras.layers
BOX = np.zeros((16, 12), "float32")
BOX[2:9, 3:12] = 1 / 63


def in_box(head):
    """Return the mean of each class's logit in the box, `(N, classes)`."""
    return lambda activations: tf.einsum("nhwc,hw->nc", head(activations), BOX)


def box_row(model, inputs, body, head, **options):
    """Return a row that explains the box of the masks of one network."""
    options |= {"operator": tfcam.Segmentation(region=(2, 3, 9, 12))}
    return Row(model, inputs, body, in_box(head), options, region=BOX)


def row_fully_convolutional_masks():
    body, _ = parts()
    head = [L.Conv2D(8, 1, activation="relu"), L.Conv2D(4, 1), L.UpSampling2D(2, interpolation="bilinear")]
    model = functional([*body, *head], SHAPE)
    return box_row(model, pixels(5, *SHAPE), chain(*body), chain(*head), conv_layer="conv_b")


def row_masks_of_a_u_net():
    """The skips leave the layer out: it is the bottleneck."""
    body, _ = parts()
    first, up, join = L.Conv2D(5, 3, padding="same", activation="relu"), L.UpSampling2D(2), L.Concatenate()
    last = [L.Conv2D(6, 3, padding="same", activation="relu"), L.Conv2D(4, 1)]
    images, image = pixels(5, *SHAPE), keras.Input(SHAPE)

    def head(activations, of):
        return chain(*last)(join([up(activations), first(of)]))

    model = keras.Model(image, head(chain(*body)(image), image))
    return box_row(model, images, chain(*body), lambda a: head(a, images), conv_layer="conv_b")


def row_masks_beside_other_heads():
    body, _ = parts()
    image = keras.Input(SHAPE)
    features, head = chain(*body)(image), [L.Conv2DTranspose(4, 3, 2, padding="same", name="mask")]
    pooled = L.GlobalAveragePooling2D()(features)
    heads = {"class": L.Dense(3)(pooled), "age": L.Dense(1)(pooled), "mask": chain(*head)(features)}
    return box_row(keras.Model(image, heads), pixels(5, *SHAPE), chain(*body), chain(*head), output_layer="mask")


def row_siamese_distance():
    body, _ = parts()
    embed = [L.Flatten(), L.Dense(6)]
    network = functional([*body, *embed], SHAPE, name="network")
    left, right = keras.Input(SHAPE, name="left"), keras.Input(SHAPE, name="right")

    def distance(one, other):
        return keras.ops.sqrt(keras.ops.sum((one - other) ** 2, axis=-1, keepdims=True))

    model = keras.Model([left, right], distance(network(left), network(right)))
    both = [pixels(5, *SHAPE), pixels(5, *SHAPE, seed=1)]
    other = network(both[1])
    [path] = [one.path for one in tfcam.list_layers(model) if "conv_b" in one.path and one.input_index == 0]
    # -1: why they are close.
    row = Row(model, both, chain(*body), lambda a: distance(chain(*embed)(a), other), spatial_input=both[0])
    row.options = {"operator": "regression", "conv_layer": path}
    row.target_weights = ([-1] * 5, -np.ones((5, 1), "float32"))
    return row


def row_two_towers():
    body, _ = parts()
    image, words = keras.Input(SHAPE, name="image"), keras.Input((4,), dtype="int32", name="words")
    see = [*body, L.Flatten(), L.Dense(6)]
    read = [L.Embedding(5, 8), L.GlobalAveragePooling1D(), L.Dense(6)]
    model = keras.Model({"image": image, "words": words}, [chain(*see)(image), chain(*read)(words)])
    images, sentences = pixels(5, *SHAPE), np.random.default_rng(0).integers(0, 5, (5, 4)).astype("int32")
    row = Row(model, {"image": images, "words": sentences}, chain(*body), chain(*see[2:]), spatial_input=images)
    row.options = {"operator": tfcam.Similarity(measure="dot")}
    # What is explained is the output weighted by the other.
    row.target_weights = (None, np.asarray(chain(*read)(sentences)))
    return row
