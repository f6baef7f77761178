"""Masks and maps ``(N, c, *grid)``, several for each image."""

from __future__ import annotations

import tensorflow as tf

from tfcam.ops.layout import CHANNELS_FIRST
from tfcam.ops.resize import resized, summed_beyond


def folded(tensor: tf.Tensor) -> tf.Tensor:
    """Return ``(N, c, ...)`` as ``(N * c, ...)``."""
    folded = tf.reshape(tensor, tf.concat([[-1], tf.shape(tensor)[2:]], axis=0))
    folded.set_shape((None, *tensor.shape[2:]))
    return folded


def along(values: tf.Tensor, axes: tuple[int, ...], rank: int) -> tf.Tensor:
    """Return a tensor with its axes at these places of a tensor of this rank, the others 1."""
    sizes = tf.unstack(tf.shape(values))
    return tf.reshape(values, [sizes[axes.index(axis)] if axis in axes else 1 for axis in range(rank)])


def channels(features: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
    """Return the channels of these numbers ``(c,)`` as maps ``(N, c, *grid)``."""
    return CHANNELS_FIRST.from_grid(tf.gather(features, indices, axis=-1))


def upsampled(masks: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
    """Return masks ``(N, c, *grid)`` as ``(N, c, *input_grid)``."""
    like = images[..., 0]
    resized_masks = resized(summed_beyond(folded(masks), like), like)
    return tf.reshape(resized_masks, tf.concat([tf.shape(masks)[:2], tf.shape(images)[1:-1]], axis=0))


def weighted(features: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Return ``sum_k w_k A_k``, ``(N, *grid)``, of weights ``(N, K)``."""
    return tf.einsum("nk,n...k->n...", weights, features)
