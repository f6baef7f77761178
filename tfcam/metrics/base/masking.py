"""Images seen through their maps, and images not seen at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import tensorflow as tf

from tfcam.metrics.base.perturbed_batch import Answers, Probe
from tfcam.ops.baselines import ZERO, Baseline
from tfcam.ops.fusion import scaled as over_largest
from tfcam.ops.masks import scaled


def minmax(maps: tf.Tensor) -> tf.Tensor:
    """Return maps ``(N, *grid)``, each from its lowest value at 0 to its highest at 1; zeros where it has one."""
    return scaled(maps[:, None])[:, 0]


#: How a map becomes a mask from 0 to 1.
MASKS = {
    "minmax": minmax,
    "max": lambda maps: over_largest(tf.nn.relu(maps)),
    "absolute": lambda maps: minmax(tf.abs(maps)),
}


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
        return 1.0 - masks if self.inverted else masks, answers.baselines(self.baseline)

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
        return answers.baselines(self.baseline)

    def variants(self, images: tf.Tensor, prepared: Any, numbers: tf.Tensor) -> tf.Tensor:
        """Return the baselines."""
        return prepared
