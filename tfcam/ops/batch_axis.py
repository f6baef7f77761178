"""The batch axis, into which a model may fold other axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def is_batch(output: Any) -> bool:
    """Whether what a layer puts out is one tensor whose rows are those of any number of images."""
    return isinstance(output, tf.Tensor) and bool(output.shape.rank) and output.shape[0] is None


def repeated_rows(tensor: tf.Tensor, count: tf.Tensor, times: tf.Tensor) -> tf.Tensor:
    """Return a tensor of `count` images with each so many times, one after the other; all rows of an image together."""
    rows = tf.tile(tf.reshape(tensor, [count, 1, -1]), [1, times, 1])
    return tf.ensure_shape(tf.reshape(rows, tf.concat([[-1], tf.shape(tensor)[1:]], axis=0)), [None, *tensor.shape[1:]])


def row_counts(outputs: Any, scores: Callable[[], tf.Tensor], are_read: bool) -> tf.Tensor:
    """Return how many rows what is explained has: the one output that an operator reads, or else its scores."""
    [output, *others] = tf.nest.flatten(outputs)
    return tf.shape(scores() if others or not are_read else output)[0]
