"""The base of metrics of a curve: the score as more and more of an image is perturbed."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, NamedTuple

import numpy as np

from tfcam.metrics.base.metric import Metric
from tfcam.metrics.base.perturbed_batch import PerturbedBatch


class Curve(NamedTuple):
    """Scores along the steps from one image to another.

    Attributes
    ----------
    shares : numpy.ndarray
        ``(S,)`` float64: which share of the pixels is deleted, or inserted, from 0 to 1.
    scores : numpy.ndarray
        ``(N, S)`` float64.
    """

    shares: np.ndarray
    scores: np.ndarray

    def area(self) -> np.ndarray:
        """Return the area under the curve of each image, ``(N,)``, by the trapezoidal rule."""
        heights = (self.scores[:, 1:] + self.scores[:, :-1]) / 2.0
        return np.sum(heights * np.diff(self.shares), axis=1)


class CurveMetric(Metric):
    """A metric of a curve for each image."""

    @abstractmethod
    def curves(self, batch: PerturbedBatch) -> Curve:
        """Return the curves of the images."""

    def curve(self, heatmaps: Any) -> Curve:
        """Return the curve of each image; `heatmaps` as for `per_sample`."""
        each = list(self._each(self.curves, heatmaps, None, False))
        return Curve(each[0].shares, np.concatenate([curves.scores for curves in each]))
