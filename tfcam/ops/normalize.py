"""Normalisation of maps and masks, each on its own."""

from __future__ import annotations

import tensorflow as tf


def unit_maximum(maps: tf.Tensor) -> tf.Tensor:
    """Return maps ``(N, *grid)`` divided by their largest magnitude; a map of zeros stays zero."""
    largest = tf.reduce_max(tf.abs(maps), axis=list(range(1, maps.shape.rank)), keepdims=True)
    return tf.math.divide_no_nan(maps, largest)


def unit_range(maps: tf.Tensor, batch_axes: int = 1) -> tf.Tensor:
    """Return maps, each from its lowest value at 0 to its highest at 1; a constant map becomes zero.

    The first axes count the maps: one of maps ``(N, *grid)``, two of masks ``(N, c, *grid)``.
    """
    grid = list(range(batch_axes, maps.shape.rank))
    lowest = tf.reduce_min(maps, grid, keepdims=True)
    return tf.math.divide_no_nan(maps - lowest, tf.reduce_max(maps, grid, keepdims=True) - lowest)
