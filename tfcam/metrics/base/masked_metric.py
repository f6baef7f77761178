"""The base of metrics that compare the score of an image with the score of the image masked by its map."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np

from tfcam.metrics.base.masking import Masking
from tfcam.metrics.base.metric import Metric
from tfcam.metrics.base.perturbed_batch import PerturbedBatch
from tfcam.ops.baselines import find_baseline


class MaskedMetric(Metric):
    """A metric of the scores p of images, and o of what their maps leave of them.

    Parameters
    ----------
    mask : {"minmax", "max", "absolute"}
        How a map becomes a mask: from its lowest value at 0 to its highest at 1; what is positive over its highest; or
        the former of what it is without its sign.
    keep : float
        The share of the pixels that is seen at all, those of the highest values.
    binary : bool
        Whether these are seen as they are, however high they are.
    baseline : float, array (channels,), "mean", "blur" or callable
        What is seen where the mask is 0, in the units of the preprocessed image: a number, one for each channel, each
        image's mean colour, the image blurred, or what a function of the images ``(N, *grid, channels)`` gives.
    """

    cost = "two forward passes, one of them shared by all methods"
    inverted = False

    def __init__(
        self,
        *arguments: Any,
        mask: str = "minmax",
        keep: float = 1.0,
        binary: bool = False,
        baseline: Any = 0.0,
        **named: Any,
    ) -> None:
        super().__init__(*arguments, **named)
        self._perturbation = Masking(mask, keep, binary, self.inverted, find_baseline(baseline))

    @abstractmethod
    def compare(self, clean: np.ndarray, masked: np.ndarray) -> np.ndarray:
        """Return the values ``(N,)`` of scores before and after, both ``(N,)``."""

    def values(self, batch: PerturbedBatch) -> np.ndarray:
        """Return the value of each map."""
        return self.compare(batch.clean_scores(), batch.perturbed_scores(self._perturbation)[:, 0])


def over(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return parts over the whole; 0 where that is 0."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole != 0)
