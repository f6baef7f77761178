"""Rows: the batch axis of tensors, into which a model may fold others."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def is_batch(output: Any) -> bool:
    """Whether what a layer puts out is one tensor whose rows are those of any number of images."""
    return isinstance(output, tf.Tensor) and bool(output.shape.rank) and output.shape[0] is None


def repeated_rows(tensor: tf.Tensor, count: tf.Tensor, times: tf.Tensor) -> tf.Tensor:
    """Return a tensor of `count` images with each so many times, one after the other; all rows of an image together."""
    rows = tf.tile(tf.reshape(tensor, [count, 1, -1]), [1, times, 1])
    return tf.ensure_shape(tf.reshape(rows, tf.concat([[-1], tf.shape(tensor)[1:]], axis=0)), [None, *tensor.shape[1:]])
