"""A perturbation that deletes or inserts pixels in the order of the map, and the base of its metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfcam.metrics.base.curve_metric import Curve, CurveMetric
from tfcam.metrics.base.masking import Blank
from tfcam.metrics.base.perturbed_batch import Perturbation, PerturbedBatch
from tfcam.ops.baselines import Baseline, find_baseline


@dataclass(frozen=True)
class FlippingStep:
    """How many pixels go at once: a number of them, a percentage of all, or, where neither is given, a row of them.

    Attributes
    ----------
    pixels : int or None
    percent : float or None
    """

    pixels: int | None = None
    percent: float | None = None

    def __post_init__(self) -> None:
        if self.pixels is not None and self.percent is not None:
            raise ValueError("step= is a number of pixels and percent= a share of them: give one of both.")
        if self.pixels is not None and (self.pixels < 1 or int(self.pixels) != self.pixels):
            raise ValueError(f"step={self.pixels!r} must be a number of pixels, at least 1; percent= is a share.")
        if self.percent is not None and not 0 < self.percent <= 100:
            raise ValueError(f"percent={self.percent!r} must be above 0 and at most 100.")

    def cuts(self, grid: tuple[int, ...]) -> np.ndarray:
        """Return how many pixels of a grid are gone after each step, from none to all, ``(S,)``."""
        cells = int(np.prod(grid))
        if self.percent is not None:
            steps = np.ceil(100.0 / self.percent - 1e-9)
            cuts = np.floor(np.arange(steps + 1) * self.percent / 100.0 * cells + 1e-9)
            return np.unique(np.minimum(cuts, cells).astype(int))
        pixels = self.pixels or grid[-1]
        return np.minimum(np.arange(-(-cells // pixels) + 1) * pixels, cells)


@dataclass(frozen=True)
class PixelFlipping(Perturbation):
    """Each image with more and more of its pixels gone, from those of the highest values of its map.

    The ends, no pixels and all, are not among the variants: other perturbations have them.

    Attributes
    ----------
    step : FlippingStep
    baseline : Baseline
        What is there in the pixels' place.
    inserts : bool
        Whether it is the baseline that goes, pixel by pixel, for the image.
    """

    step: FlippingStep
    baseline: Baseline
    inserts: bool

    def count(self, grid: tuple[int, ...]) -> int:
        """Return the number of steps that are neither the image nor the baseline."""
        return len(self.step.cuts(grid)) - 2

    def prepared(self, batch: PerturbedBatch) -> Any:
        """Return the ranks of the pixels, and the baselines."""
        return batch.ranks(), batch.baselines(self.baseline)

    def variants(self, images: tf.Tensor, prepared: Any, numbers: tf.Tensor) -> tf.Tensor:
        """Return the images with the pixels gone that are gone after the step of these numbers, and one."""
        ranks, baselines = prepared
        cuts = tf.constant(self.step.cuts(tuple(images.shape[1:-1]))[1:], tf.int32)
        cut = tf.reshape(tf.gather(cuts, numbers), [-1, *[1] * (ranks.shape.rank - 1)])
        gone = (ranks < cut)[..., None]
        return tf.where(gone, images, baselines) if self.inserts else tf.where(gone, baselines, images)


class PixelFlippingMetric(CurveMetric):
    """A metric of the curve that the score runs along while pixels go, those of the highest values first.

    Parameters
    ----------
    step : int or None
        How many pixels go at once. None: as many as an image is wide.
    percent : float or None
        How many, in percent of all, in place of `step`: 10 makes ten steps.
    baseline : float, array (channels,), "mean", "blur" or callable
        What is there without them, as for `AverageDrop`.
    """

    cost = "one forward pass for each step, 224 for an image of 224 x 224"
    inserts: bool
    default_baseline: Any = 0.0

    def __init__(
        self,
        *arguments: Any,
        step: int | None = None,
        percent: float | None = None,
        baseline: Any = None,
        **named: Any,
    ) -> None:
        super().__init__(*arguments, **named)
        self._step = FlippingStep(step, percent)
        self._baseline = find_baseline(self.default_baseline if baseline is None else baseline)

    def values(self, batch: PerturbedBatch) -> np.ndarray:
        """Return the area under each curve."""
        return self.curves(batch).area()

    def curves(self, batch: PerturbedBatch) -> Curve:
        """Return the score after each step."""
        cuts = self._step.cuts(tuple(batch.images.shape[1:-1]))
        between = batch.perturbed_scores(PixelFlipping(self._step, self._baseline, self.inserts))
        ends = batch.clean_scores(), batch.perturbed_scores(Blank(self._baseline))[:, 0]
        start, end = ends[::-1] if self.inserts else ends
        return Curve(cuts / cuts[-1], np.column_stack([start, between, end]))
