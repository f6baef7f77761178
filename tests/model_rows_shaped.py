"""Kinds of model that make their grid of an input of another shape: flat pixels, words, films, sounds."""

import keras
import numpy as np
from model_rows import Row, chain, functional, parts, pixels

L = keras.layers


def shaped(layers, before, inputs, grid_inputs, undo):
    """Return the row of a model that calls `layers` on what `before` makes of its inputs.

    `grid_inputs` are the inputs as a grid with channels, ``(N, *grid, C)``, and `undo` makes the inputs of them.
    """
    body, head = layers
    model = functional([*before, *body, *head], inputs.shape[1:])
    return Row(model, inputs, lambda x: chain(*before, *body)(undo(x)), chain(*head), spatial_input=grid_inputs)


def row_images_without_channels():
    images = pixels(5, 16, 12, 1)
    return shaped(parts(), [L.Reshape((16, 12, 1))], images[..., 0], images, lambda x: x[..., 0])


def row_flat_pixels():
    images = pixels(5, 16, 12, 1)
    before = [L.Rescaling(2.0, 0.1), L.Reshape((16, 12, 1))]
    return shaped(parts(), before, images.reshape(5, -1), images, lambda x: keras.ops.reshape(x, (-1, 16 * 12)))


def row_series_as_images():
    """The filters of the first layer, which the second slides along, have no place in the series."""
    series = pixels(5, 16, 12)
    before = [L.Conv1D(12, 3, padding="same"), L.Reshape((16, 12, 1))]
    return shaped(parts(), before, series, series, lambda x: x)


def row_words():
    words = np.random.default_rng(0).integers(0, 30, (5, 20)).astype("int32")
    embed = L.Embedding(30, 8)
    body, head = parts(rank=1)
    inputs = keras.Input((20,), dtype="int32")
    model = keras.Model(inputs, chain(embed, *body, *head)(inputs))
    grid_inputs = words[..., None].astype("float32")
    return Row(
        model,
        words,
        lambda x: chain(embed, *body)(keras.ops.cast(x[..., 0], "int32")),
        chain(*head),
        spatial_input=grid_inputs,
    )


def row_film_summed_up():
    film = pixels(5, 4, 16, 12, 3)
    frames = film.transpose(0, 2, 3, 1, 4).reshape(5, 16, 12, 12)
    body, head = [L.ConvLSTM2D(4, 3, strides=2)], parts()[1]

    def undo(x):
        return keras.ops.transpose(keras.ops.reshape(x, (-1, 16, 12, 4, 3)), (0, 3, 1, 2, 4))

    return shaped((body, head), [], film, frames, undo)


def row_channels_first():
    images = pixels(5, 16, 12, 3)
    body = [L.Conv2D(6, 3, strides=2, data_format="channels_first", activation="relu"), L.BatchNormalization(axis=1)]
    head, axes = parts()[1], {"first": (0, 3, 1, 2), "last": (0, 2, 3, 1)}
    row = shaped((body, head), [], images.transpose(axes["first"]), images, None)
    row.body = lambda x: keras.ops.transpose(chain(*body)(keras.ops.transpose(x, axes["first"])), axes["last"])
    row.head = lambda a: chain(*head)(keras.ops.transpose(a, axes["first"]))
    return row


def row_channels_first_masks():
    """The classes of the output stand first too."""
    images, axes = pixels(5, 16, 12, 3), {"first": (0, 3, 1, 2), "last": (0, 2, 3, 1)}
    first = {"data_format": "channels_first"}
    body = L.Conv2D(6, 3, strides=2, activation="relu", **first)
    classify = [L.Conv2DTranspose(4, 3, strides=2, **first), L.Softmax(axis=1)]
    row = shaped(([body], classify), [], images.transpose(axes["first"]), images, None)
    row.body = lambda x: keras.ops.transpose(body(keras.ops.transpose(x, axes["first"])), axes["last"])
    row.head = lambda a: keras.ops.mean(classify[0](keras.ops.transpose(a, axes["first"])), axis=(2, 3))
    return row
