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


def require_rows(rows: int, count: int, model: str) -> None:
    """Refuse outputs that are not one row for each image.

    Raises
    ------
    ValueError
        With what helps where the model sees the batch as one bag.
    """
    if rows != count:
        raise ValueError(
            f"Model {model!r} gives {rows} rows of output for {count} images, so no row is the output of one image. "
            "A model that sees the batch as one bag of images needs an axis for the bag: inputs (N, bag, H, W, C), "
            "with TimeDistributed around the layers that see one image."
        )
