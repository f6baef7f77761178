"""Gradients of single cells, taken of the window that the cell sees."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfcam.graph.windows import gradient_in_window, heads_of

L = keras.layers
GRID = (9, 12)
#: Heads of convolutions, and how far they see.
HEADS = {
    "two of three": (
        lambda: [L.Conv2D(5, 3, padding="same", activation="relu"), L.Conv2D(4, 3, padding="same")],
        (2, 2),
    ),
    "wide and flat": (
        lambda: [L.Conv2D(5, (1, 5), padding="same", activation="silu"), L.Conv2D(4, (3, 1), padding="same")],
        (1, 2),
    ),
    "depthwise": (
        lambda: [L.DepthwiseConv2D(3, padding="same"), L.BatchNormalization(), L.ReLU(), L.Conv2D(4, 1)],
        (1, 1),
    ),
    "even": (lambda: [L.Conv2D(5, 4, padding="same", activation="tanh"), L.Conv2D(4, 3, padding="same")], (3, 3)),
    "wider than the grid": (lambda: [L.Conv2D(5, 7, padding="same"), L.Conv2D(4, 9, padding="same")], (7, 7)),
}


class NormOverCells(L.Layer):
    """What a group normalization does: each cell depends on all."""

    def call(self, x):
        return x - keras.ops.mean(x, axis=(1, 2), keepdims=True)


class Places(L.Layer):
    """An embedding of each place, learned."""

    def build(self, shape):
        self.places = self.add_weight(shape=(1, *shape[1:]), initializer="random_normal", name="places")

    def call(self, x):
        return x + self.places


REFUSED = {
    "an embedding of places": lambda: [L.Conv2D(5, 3, padding="same"), Places(), L.Conv2D(4, 3, padding="same")],
    # TensorFlow folds the grid into the batch.
    "dilated": lambda: [L.Conv2D(5, 3, padding="same", dilation_rate=2), L.Conv2D(4, 1)],
    "strides": lambda: [L.Conv2D(4, 3, 2, padding="same")],
    "no padding": lambda: [L.Conv2D(4, 3)],
    "pooling": lambda: [L.AveragePooling2D(3, 1, "same"), L.Conv2D(4, 1)],
    "norm over cells": lambda: [L.Conv2D(5, 3, padding="same"), NormOverCells(), L.Conv2D(4, 3, padding="same")],
}


def gradients(layers, cells, channel=1):
    """Return the gradient of scores of cells ``(row, column)`` of each image in a window, and of all; the heads."""
    keras.utils.set_random_seed(0)
    body, layers = L.Conv2D(6, 3, padding="same", activation="relu"), layers()
    images = np.random.default_rng(0).normal(size=(len(cells), *GRID, 3)).astype("float32")
    found = []

    @tf.function
    def both(pixels):
        x = grid = body(pixels)
        for layer in layers:
            x = layer(x)
        rows = tf.reshape(x, [len(cells), -1, 4])
        total = tf.add_n([x[image, row, column, channel] for image, of in enumerate(cells) for row, column in of])
        heads = heads_of([grid], [rows], [pixels])
        found.append(heads)
        [expected] = tf.gradients(total, grid)
        return expected if heads is None else gradient_in_window(total, heads[0]), expected

    # Variables are made in a first trace.
    return (*both(tf.constant(images)), found[-1])


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("cells", [[[(4, 6)], [(0, 0)]], [[(8, 11)], [(1, 10)]], [[(0, 5)], [(7, 0)]]])
def test_the_window_of_a_cell_has_its_gradient(name, cells):
    layers, reach = HEADS[name]
    found, expected, [head] = gradients(layers, cells)
    assert head.reach == reach
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_a_score_of_several_cells_has_all_of_the_grid():
    found, expected, _ = gradients(HEADS["two of three"][0], [[(0, 0), (8, 11)], [(4, 4)]])
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_cell_sees_is_not_told_of_other_heads(name):
    *_, heads = gradients(REFUSED[name], [[(2, 3)]])
    assert heads is None


def test_a_head_that_reads_more_of_the_image_than_the_grid_is_refused():
    keras.utils.set_random_seed(0)
    body, head = L.Conv2D(6, 3, padding="same"), L.Conv2D(4, 3, padding="same")
    beside = L.Conv2D(6, 1)
    found = []

    @tf.function
    def run(pixels):
        grid = body(pixels)
        found.append(heads_of([grid], [head(grid + beside(pixels))], [pixels]))

    run(tf.zeros((1, *GRID, 3)))
    assert found[-1] is None
