"""A Gaussian blur of images, as the product with a matrix along each axis."""

from __future__ import annotations

import tensorflow as tf

from tfcam.layouts import CHANNELS_FIRST

#: The blur of Group-CAM: a window of 51 pixels of 224, of the standard deviation 50.
_RADIUS, _DEVIATION, _SIZE = 25, 50, 224


def blurred(images: tf.Tensor) -> tf.Tensor:
    """Return images ``(N, *grid, channels)`` blurred over 51/224 of their size, reflected at the borders."""
    for _ in images.shape[1:-1]:
        # The axis just blurred goes last, so the next one is always axis 1, and in the end the channels.
        images = tf.tensordot(images, _gaussian_matrix(tf.shape(images)[1]), axes=[[1], [1]])
    return CHANNELS_FIRST.to_grid(images)


def _gaussian_matrix(size: tf.Tensor) -> tf.Tensor:
    """Return the matrix ``(size, size)`` that blurs one axis; its rows sum to 1."""
    radius = size * _RADIUS // _SIZE
    offsets = tf.range(-radius, radius + 1)
    deviations = tf.cast(offsets, tf.float32) * _SIZE / (_DEVIATION * tf.cast(size, tf.float32))
    window = tf.nn.softmax(-0.5 * deviations**2)
    seen = tf.abs(tf.range(size)[:, None] + offsets)
    reflected = size - 1 - tf.abs(size - 1 - seen)
    return tf.einsum("ijk,j->ik", tf.one_hot(reflected, size), window)
