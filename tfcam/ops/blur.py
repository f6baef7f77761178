"""Gaussian blur, as a product with one matrix per axis."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from tfcam.ops.layout import CHANNELS_FIRST


class GaussianKernel(NamedTuple):
    """How far a blur reaches, and its standard deviation, in pixels of an image of 224."""

    radius: int
    deviation: int


GROUP_CAM, RISE = GaussianKernel(25, 50), GaussianKernel(5, 5)
_SIZE = 224


def blurred(images: tf.Tensor, kernel: GaussianKernel) -> tf.Tensor:
    """Return images ``(N, *grid, channels)`` blurred over a share of their size, reflected at borders."""
    for _ in images.shape[1:-1]:
        # The axis just blurred goes last, so the next one is always axis 1, and in the end the channels.
        images = tf.tensordot(images, _gaussian_matrix(tf.shape(images)[1], kernel), axes=[[1], [1]])
    return CHANNELS_FIRST.to_grid(images)


def _gaussian_matrix(size: tf.Tensor, kernel: GaussianKernel) -> tf.Tensor:
    """Return the matrix ``(size, size)`` that blurs one axis; its rows sum to 1."""
    # An image of a few cells is blurred too.
    radius = tf.maximum(size * kernel.radius // _SIZE, 1)
    offsets = tf.range(-radius, radius + 1)
    deviations = tf.cast(offsets, tf.float32) * _SIZE / (kernel.deviation * tf.cast(size, tf.float32))
    weights = tf.nn.softmax(-0.5 * deviations**2)
    seen = tf.abs(tf.range(size)[:, None] + offsets)
    reflected = size - 1 - tf.abs(size - 1 - seen)
    return tf.einsum("ijk,j->ik", tf.one_hot(reflected, size), weights)
