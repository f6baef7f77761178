"""Baselines: the pixels that replace what a perturbation removes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfcam.ops.blur import RISE, GaussianKernel, blurred

#: The baseline of the image itself, blurred, and of its mean colour.
BLUR, MEAN = "blur", "mean"


@dataclass(frozen=True)
class Baseline:
    """What is seen in place of images.

    Attributes
    ----------
    value : tuple of float, str or callable
        Numbers, one for all channels or one for each; a name; or what gives it for images ``(N, *grid, channels)``.
    kernel : GaussianKernel
        Of the blur.
    """

    value: Any
    kernel: GaussianKernel = RISE

    @property
    def is_zero(self) -> bool:
        """Whether it is zero everywhere."""
        return isinstance(self.value, tuple) and not any(self.value)

    def of(self, images: tf.Tensor) -> tf.Tensor:
        """Return what is seen in place of images ``(N, *grid, channels)``, of the same shape."""
        if self.value == BLUR:
            return blurred(images, self.kernel)
        if self.value == MEAN:
            axes = list(range(1, images.shape.rank - 1))
            return tf.broadcast_to(tf.reduce_mean(images, axes, keepdims=True), tf.shape(images))
        if callable(self.value):
            return self._given(images)
        if len(self.value) not in (1, images.shape[-1]):
            raise ValueError(
                f"baseline has {len(self.value)} numbers, and the images {images.shape[-1]} channels: give one for "
                "each, or one for all."
            )
        return tf.broadcast_to(tf.constant(self.value, tf.float32), tf.shape(images))

    def _given(self, images: tf.Tensor) -> tf.Tensor:
        given = tf.cast(tf.convert_to_tensor(self.value(images)), tf.float32)
        try:
            return tf.broadcast_to(given, tf.shape(images))
        except (ValueError, tf.errors.InvalidArgumentError) as error:
            raise ValueError(
                f"baseline gives the shape {given.shape} for images {images.shape}: expected images, or what "
                "broadcasts to them."
            ) from error


ZERO = Baseline((0.0,))


def find_baseline(given: Any, kernel: GaussianKernel = RISE) -> Baseline:
    """Return the baseline that a number, one for each channel, "mean", "blur" or a callable means."""
    if isinstance(given, Baseline):
        return given
    if callable(given) or (isinstance(given, str) and given in (BLUR, MEAN)):
        return Baseline(given, kernel)
    try:
        numbers = np.asarray(given, np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"baseline={given!r} is no number, nor one for each channel, nor {BLUR!r} or {MEAN!r}, nor a function of "
            "the images."
        ) from error
    if numbers.ndim > 1 or not numbers.size or not np.isfinite(numbers).all():
        raise ValueError(
            f"baseline has the shape {numbers.shape}; it is one finite number, one for each channel of the images, "
            f"{BLUR!r}, {MEAN!r}, or a function that gives images for images."
        )
    return Baseline(tuple(numbers.ravel().tolist()), kernel)
