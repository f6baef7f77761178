"""Images of a dot, models that blur them, and where their maps are."""

import keras
import numpy as np
from model_rows import chain

L = keras.layers


def blurring(*layers, size=(96, 96), bias=0.0):
    """Return a model that blurs and adds up: its score is a sum over the image, and nothing cancels."""
    inputs = keras.Input((*size, 1))
    last = chain(*layers)(inputs)
    model = keras.Model(inputs, L.Dense(1, name="score")(L.GlobalAveragePooling2D()(last)))
    for weight in model.trainable_weights:
        weight.assign(np.full(weight.shape, 1.0 if "kernel" in weight.path else bias))
    return model


def convolutions(count, **options):
    return [L.Conv2D(1, 3, strides=2, activation="relu", **options) for _ in range(count)]


def dots(places, size=(96, 96)):
    images = np.zeros((len(places), *size, 1), "float32")
    for image, (row, column) in zip(images, places, strict=True):
        image[row - 1 : row + 2, column - 1 : column + 2] = 1.0
    return images


def centroids(maps):
    maps = np.asarray(maps)[..., 0]
    rows, columns = np.indices(maps.shape[1:])
    total = maps.sum(axis=(1, 2))
    return np.stack([(maps * where).sum(axis=(1, 2)) / total for where in (rows, columns)], axis=1)


# Everywhere between two cells alike, so that the mean shows a shift and no rounding to cells.
PLACES = [(38 + row, 43 + column) for row in range(0, 16, 2) for column in range(0, 16, 2)]
