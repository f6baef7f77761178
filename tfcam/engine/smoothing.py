"""Smoothing: the mean of the maps of an image's variants, for any method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import tensorflow as tf

from tfcam.engine.run import Run
from tfcam.ops.loops import in_turn

#: What a method does: from a run to the maps of its layers.
Maps: TypeAlias = Callable[[Run], list[tf.Tensor]]


class Smoothing(Protocol):
    """What makes smoother maps of a method's."""

    def around(self, maps: Maps, count: int, are_of_input: bool) -> Maps:
        """Return a function of a run that gives the smoothed maps, as many as `maps` gives.

        `are_of_input`: whether they have the grid of the input, rather than those of their layers.
        """


@dataclass(frozen=True)
class Augment:
    """The mean over images as they are and mirrored, at several strengths; maps of mirrored ones are mirrored back.

    Parameters
    ----------
    factors : tuple of float
        What the images, as the model takes them, are multiplied by.
    mirror : bool
        Whether they are mirrored along the last axis of their grid too.
    """

    factors: tuple[float, ...] = (1.0, 0.9, 1.1)
    mirror: bool = True

    def __post_init__(self) -> None:
        if not self.factors:
            raise ValueError("Augment(factors=()) leaves no image: give at least one factor, such as 1.0.")

    def around(self, maps: Maps, count: int, are_of_input: bool) -> Maps:
        """Return the mean over every factor, mirrored or not."""
        variants = [(factor, mirrored) for factor in self.factors for mirrored in (False, True)[: 1 + self.mirror]]
        factors, mirrored = (tf.constant(column) for column in zip(*variants, strict=True))

        def variant(run: Run) -> Maps:
            def of(index: tf.Tensor) -> list[tf.Tensor]:
                flip = tf.gather(mirrored, index)
                images = tf.cast(run.source(), tf.float32) * tf.gather(factors, index)
                there = tf.where(flip, tf.reverse(images, [images.shape.rank - 2]), images)
                each = maps(run.mirrored(there, flip))
                return [
                    tf.where(flip, run.placement.unmirrored(one, None if are_of_input else layer), one)
                    for layer, one in enumerate(each)
                ]

            return of

        return lambda run: _mean(variant(run), len(variants), count)


@dataclass(frozen=True)
class Noise:
    """The mean over images with Gaussian noise (Smilkov et al., SmoothGrad, 2017), the same for each image.

    Parameters
    ----------
    samples : int
        How often.
    level : float
        Standard deviation of the noise, as a share of the range of each image's values.
    seed : int
    """

    samples: int = 25
    level: float = 0.15
    seed: int = 0

    def __post_init__(self) -> None:
        if self.samples < 1 or self.level < 0:
            raise ValueError(f"Noise needs samples of at least 1 and a level of at least 0, got {self}.")

    def around(self, maps: Maps, count: int, are_of_input: bool) -> Maps:
        """Return the mean over the samples."""
        return lambda run: _mean(lambda sample: maps(self.noisy(run, sample)), self.samples, count)

    def noisy(self, run: Run, sample: tf.Tensor) -> Run:
        """Return a run on the images with the noise of a sample."""
        images = tf.cast(run.source(), tf.float32)
        within = list(range(1, images.shape.rank))
        spread = tf.reduce_max(images, within, keepdims=True) - tf.reduce_min(images, within, keepdims=True)
        # One image's noise for all, so that a map does not depend on its batch mates.
        noise = tf.random.stateless_normal(tf.shape(images)[1:], tf.stack([self.seed, sample]))
        return run.rerun(images + self.level * spread * noise)


def _mean(maps: Callable[[tf.Tensor], list[tf.Tensor]], variants: int, count: int) -> list[tf.Tensor]:
    """Return the means of so many maps over the variants from 0, computed in turn."""
    stacked = in_turn(maps, tf.range(variants), [tf.float32] * count)
    return [tf.reduce_mean(each, axis=0) for each in stacked]


#: What ``smooth=`` knows by name.
SMOOTHINGS: dict[str, Callable[[], Smoothing]] = {"augment": Augment, "noise": Noise}
#: The name of what is no mean over variants, but the first principal component in place of the sum over the channels.
EIGEN = "eigen"


def find_smoothing(wanted: Any) -> tuple[list[Smoothing], bool]:
    """Return what ``smooth=`` means: the smoothings, the outermost first, and whether "eigen" is among them."""
    several = list(wanted) if isinstance(wanted, (list, tuple)) else [] if wanted is None else [wanted]
    for one in several:
        if not (isinstance(one, (Augment, Noise)) or one == EIGEN or (isinstance(one, str) and one in SMOOTHINGS)):
            names = ", ".join(map(repr, [*SMOOTHINGS, EIGEN]))
            raise ValueError(
                f"smooth={one!r} is unknown; it is {names}, tfcam.Augment(...), tfcam.Noise(...), or a list of these."
            )
    found = [SMOOTHINGS[one]() if isinstance(one, str) else one for one in several if one != EIGEN]
    return found, EIGEN in several
