"""Perturbations that mask an image by its map, or replace it by a baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import tensorflow as tf

from tfcam.metrics.base.perturbed_batch import Perturbation, PerturbedBatch
from tfcam.ops.baselines import ZERO, Baseline
from tfcam.ops.normalize import unit_maximum, unit_range

#: How a map becomes a mask from 0 to 1.
MASKS = {
    "minmax": unit_range,
    "max": lambda maps: unit_maximum(tf.nn.relu(maps)),
    "absolute": lambda maps: unit_range(tf.abs(maps)),
}


@dataclass(frozen=True)
class Masking(Perturbation):
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

    def prepared(self, batch: PerturbedBatch) -> Any:
        """Return the masks ``(N, *grid)``, and the baselines."""
        masks = MASKS[self.mask](batch.heatmaps)
        if self.binary:
            masks = tf.ones_like(masks)
        if self.keep < 1:
            cells = tf.cast(tf.size(masks[0]), tf.float32)
            masks = tf.where(batch.ranks() < tf.cast(tf.round(self.keep * cells), tf.int32), masks, 0.0)
        return 1.0 - masks if self.inverted else masks, batch.baselines(self.baseline)

    def variants(self, images: tf.Tensor, prepared: Any, numbers: tf.Tensor) -> tf.Tensor:
        """Return the masked images."""
        masks, baselines = prepared
        return baselines + masks[..., None] * (images - baselines)


@dataclass(frozen=True)
class Blank(Perturbation):
    """The baseline in place of each image."""

    baseline: Baseline
    is_of_maps: ClassVar[bool] = False

    def count(self, grid: tuple[int, ...]) -> int:
        """Return 1."""
        return 1

    def prepared(self, batch: PerturbedBatch) -> Any:
        """Return the baselines."""
        return batch.baselines(self.baseline)

    def variants(self, images: tf.Tensor, prepared: Any, numbers: tf.Tensor) -> tf.Tensor:
        """Return the baselines."""
        return prepared
