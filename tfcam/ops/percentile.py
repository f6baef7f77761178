"""Percentiles along an axis of a batch."""

from __future__ import annotations

import tensorflow as tf


def percentile(values: tf.Tensor, share: float, counted: tf.Tensor | None = None) -> tf.Tensor:
    """Return the value below which a share of the values ``(N, n, ...)`` along axis 1 lies, ``(N, 1, ...)``.

    Between two values it is interpolated linearly, as by NumPy. Where `counted` is given, it says which values count;
    of none, the percentile is 0.
    """
    counted = tf.ones_like(values, tf.bool) if counted is None else counted
    ascending = tf.sort(tf.where(counted, values, float("inf")), axis=1)
    last = tf.reduce_sum(tf.cast(counted, tf.float32), axis=1, keepdims=True) - 1.0
    places = tf.reshape(tf.range(tf.shape(values)[1], dtype=tf.float32), [-1, *[1] * (values.shape.rank - 2)])
    # How much each of the sorted values takes part: at most two do.
    parts = tf.nn.relu(1.0 - tf.abs(places - share * last))
    return tf.reduce_sum(tf.where((parts > 0.0) & (places <= last), parts * ascending, 0.0), axis=1, keepdims=True)
