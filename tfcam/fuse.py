"""Fusing the maps of several layers into one."""

from __future__ import annotations

import tensorflow as tf

from tfcam.resize import resized


def mean_of_scaled(maps: list[tf.Tensor], like: tf.Tensor) -> tf.Tensor:
    """Return the mean of maps ``(N, *grid)`` of any grids, each scaled to its maximum, at the grid of `like`."""
    return tf.add_n([resized(scaled(one), like) for one in maps]) / len(maps)


def scaled(maps: tf.Tensor) -> tf.Tensor:
    """Return maps divided by their largest value, whatever its sign; an all-zero map stays zero."""
    largest = tf.reduce_max(tf.abs(maps), axis=list(range(1, maps.shape.rank)), keepdims=True)
    return tf.math.divide_no_nan(maps, largest)
