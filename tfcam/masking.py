"""Images seen through their maps, and images not seen at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import tensorflow as tf

from tfcam.answers import Answers, Probe
from tfcam.baselines import ZERO, Baseline


def within(maps: tf.Tensor) -> list[int]:
    """Return the axes of the grid of maps ``(N, *grid)``."""
    return list(range(1, maps.shape.rank))


def minmax(maps: tf.Tensor) -> tf.Tensor:
    """Return maps ``(N, *grid)``, each from its lowest value at 0 to its highest at 1; zeros where it has one."""
    lowest = tf.reduce_min(maps, within(maps), keepdims=True)
    return tf.math.divide_no_nan(maps - lowest, tf.reduce_max(maps, within(maps), keepdims=True) - lowest)


def of_maximum(maps: tf.Tensor) -> tf.Tensor:
    """Return what is positive of maps ``(N, *grid)``, each over its highest value."""
    return tf.math.divide_no_nan(tf.nn.relu(maps), tf.reduce_max(tf.nn.relu(maps), within(maps), keepdims=True))


#: How a map becomes a mask from 0 to 1.
MASKS = {"minmax": minmax, "max": of_maximum, "absolute": lambda maps: minmax(tf.abs(maps))}


@dataclass(frozen=True)
class Masked(Probe):
    """Each image where its map is high, the baseline elsewhere.

    Attributes
    ----------
    mask : str
        A name of `MASKS`.
    keep : float
        The share of the cells that is seen at all, those of the highest values.
    binary : bool
        Whether these are seen as they are, however high they are.
    inverted : bool
        Whether the baseline is seen where the map is high.
    baseline : Baseline
    """

    mask: str = "minmax"
    keep: float = 1.0
    binary: bool = False
    inverted: bool = False
    baseline: Baseline = ZERO

    def __post_init__(self) -> None:
        if self.mask not in MASKS:
            raise ValueError(f"mask={self.mask!r} is none of {sorted(MASKS)}.")
        if not 0 < self.keep <= 1:
            raise ValueError(f"keep={self.keep!r} is the share of the pixels that is kept: above 0, at most 1.")

    def count(self, grid: tuple[int, ...]) -> int:
        """Return 1."""
        return 1

    def prepared(self, answers: Answers) -> Any:
        """Return the masks ``(N, *grid)``, and the baselines."""
        masks = MASKS[self.mask](answers.heatmaps)
        if self.binary:
            masks = tf.ones_like(masks)
        if self.keep < 1:
            cells = tf.cast(tf.size(masks[0]), tf.float32)
            masks = tf.where(answers.ranks() < tf.cast(tf.round(self.keep * cells), tf.int32), masks, 0.0)
        return 1.0 - masks if self.inverted else masks, self.baseline.of(answers.images)

    def variants(self, images: tf.Tensor, prepared: Any, numbers: tf.Tensor) -> tf.Tensor:
        """Return the masked images."""
        masks, baselines = prepared
        return baselines + masks[..., None] * (images - baselines)


@dataclass(frozen=True)
class Blank(Probe):
    """The baseline in place of each image."""

    baseline: Baseline
    is_of_maps: ClassVar[bool] = False

    def count(self, grid: tuple[int, ...]) -> int:
        """Return 1."""
        return 1

    def prepared(self, answers: Answers) -> Any:
        """Return the baselines."""
        return self.baseline.of(answers.images)

    def variants(self, images: tf.Tensor, prepared: Any, numbers: tf.Tensor) -> tf.Tensor:
        """Return the baselines."""
        return prepared
