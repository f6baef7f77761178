"""Regions of an output with a grid: as they are given, as masks, and as parts of what is predicted."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfcam.operators.classification import read_numbers

#: The regions that have a name.
REGIONS = ("predicted", "border", "component", "all")


def region_array(values: Any) -> np.ndarray:
    """Return a region as numbers; a mask may be one of True and False."""
    array = np.asarray(values)
    return read_numbers(array.astype(np.uint8) if array.dtype == bool else array)


def read_region(values: np.ndarray, count: int, grid: Sequence[int | None]) -> dict[str, np.ndarray]:
    """Return the regions of `count` images, checked: a ``"box"``, ``(N, 2, G)``, or a ``"mask"``, ``(N, *grid, 1)``.

    `grid` are the G sizes of the output, None where they are open. A pixel is a box.
    """
    rank = len(grid)
    if values.ndim == 2 and values.shape[1] in (rank, 2 * rank):
        if len(values) != count:
            raise ValueError(f"{len(values)} regions were given for {count} images; there must be one for each.")
        low, high = (values, values + 1) if values.shape[1] == rank else (values[:, :rank], values[:, rank:])
        sizes = np.array([np.inf if size is None else size for size in grid])
        outside = (low < 0) | (high > sizes) | (low != np.round(low)) | (high != np.round(high)) | (low >= high)
        if outside.any():
            one = values[outside.any(axis=1).argmax()].tolist()
            raise ValueError(
                f"region {one} has no pixel, or some outside of the output of {tuple(grid)}: give whole numbers, (row, "
                "column) or (top, left, bottom, right), whose last row and column are outside."
            )
        return {"box": np.stack([low, high], axis=1).astype(np.int32)}
    if values.ndim == rank + 2:
        return {"mask": read_mask(values, count, (*grid, None))}
    if values.ndim != rank + 1:
        raise ValueError(
            f"region has the shape {values.shape}; expected a mask {(count, *grid)} of the output's size, a pixel "
            f"{(count, rank)} or a box {(count, 2 * rank)} for each image."
        )
    return {"mask": read_mask(values, count, grid)[..., None]}


def read_mask(values: np.ndarray, count: int, sizes: Sequence[int | None]) -> np.ndarray:
    """Return masks of these sizes as float32, checked."""
    wrong = [given for size, given in zip(sizes, values.shape[1:], strict=True) if size not in (None, given)]
    if wrong or len(values) != count:
        raise ValueError(f"region has the shape {values.shape}; expected masks {(count, *sizes)} of the output's size.")
    if (empty := ~values.reshape(count, -1).any(axis=1)).any():
        raise ValueError(f"the region of image {int(empty.argmax())} is empty: its mask has no pixel.")
    return values.astype(np.float32)


def box_mask(box: tf.Tensor, grid: tf.Tensor) -> tf.Tensor:
    """Return boxes ``(N, 2, G)`` as masks ``(N, *grid)`` float32."""
    masks = []
    for axis in range(box.shape[-1]):
        place = tf.range(grid[axis])
        inside = tf.cast((place >= box[:, :1, axis]) & (place < box[:, 1:, axis]), tf.float32)
        others = [-1 if other == axis else 1 for other in range(box.shape[-1])]
        masks.append(tf.reshape(inside, [tf.shape(box)[0], *others]))
    return functools.reduce(tf.multiply, masks)


def border(region: tf.Tensor) -> tf.Tensor:
    """Return the cells of regions ``(N, *grid)`` that touch a cell outside, if diagonally; an edge is no outside."""
    return region * _neighbours(1.0 - region)


def largest_component(region: tf.Tensor) -> tf.Tensor:
    """Return the largest connected part of regions ``(N, *grid)``, of parts that touch diagonally too."""
    shape, count = tf.shape(region), tf.shape(region)[0]
    inside = tf.reshape(region, [count, -1]) > 0
    cells = tf.shape(inside)[1]

    def spread(labels: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        # Labels are numbers of cells, which float32 holds up to 16 million.
        around = _neighbours(tf.reshape(tf.cast(labels, tf.float32), shape))
        nearest = tf.cast(tf.reshape(around, [count, -1]), tf.int32)
        # A label is a cell of the same part, and that one's own label has come at least as far: long ways are halved.
        further = tf.gather(tf.pad(labels, [[0, 0], [1, 0]]), nearest, batch_dims=1)
        after = tf.where(inside, further, 0)
        return after, tf.reduce_any(after != labels)

    first = tf.where(inside, tf.range(1, cells + 1)[None], 0)
    labels, _ = tf.while_loop(lambda _, is_new: is_new, spread, (first, tf.constant(True)))
    sizes = tf.math.bincount(labels, weights=tf.cast(inside, tf.float32), minlength=cells + 1, axis=-1)
    largest = tf.argmax(sizes, axis=-1, output_type=tf.int32)[:, None]
    return region * tf.reshape(tf.cast(labels == largest, tf.float32), shape)


def _neighbours(cells: tf.Tensor) -> tf.Tensor:
    """Return the largest value of each cell of ``(N, *grid)`` and of those around it."""
    return tf.nn.max_pool(cells[..., None], 3, 1, "SAME")[..., 0]
