"""ADCC."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfcam.metrics.average_drop import AverageDrop
from tfcam.metrics.base import HarmonicMean, PerturbedBatch
from tfcam.metrics.coherency import Coherency
from tfcam.metrics.complexity import Complexity


class ADCC(HarmonicMean):
    r"""Is the map small, stable, and enough for the class?

    .. math:: 3 \left( \frac{1}{\text{Coherency}} + \frac{1}{1 - \text{Complexity}} + \frac{1}{1 - \text{Average Drop}}
        \right)^{-1}

    of each image, and of it the mean. It needs what made the maps:
    ``ADCC(model, images, labels).evaluate(heatmaps, explainer)``.

    Parameters
    ----------
    baseline : float, array (channels,), "mean", "blur" or callable
        What is seen where the map is 0, as for `AverageDrop`.

    Notes
    -----
    The class is the one that is asked for; the authors' code takes the drop of the likeliest class, whichever is
    explained. Tables made by Shapley-CAM's code have the harmonic mean of the three means over all images, which is
    never less than the mean over the images: make it from `Coherency`, `Complexity` and `AverageDrop`.

    References
    ----------
    Poppi et al., Revisiting the evaluation of class activation mapping for explainability, CVPR Workshops 2021,
    arXiv:2104.10252.
    """

    name = "adcc"
    question = "is the map small, stable, and enough for the class?"
    higher_is_better = True
    bounds = (0.0, 1.0)
    cost = "two forward passes, one of them shared by all methods, and one explanation"
    paper = "Poppi et al., CVPR Workshops 2021"
    needs_explainer = True
    needs_probabilities = True

    def __init__(self, *arguments: Any, baseline: Any = 0.0, **named: Any) -> None:
        super().__init__(*arguments, **named)
        shared = (self.scores, self.inputs, self.targets)
        self._coherency, self._complexity = Coherency(*shared, baseline=baseline), Complexity(*shared)
        self._drop = AverageDrop(*shared, baseline=baseline)

    def parts(self, batch: PerturbedBatch) -> list[np.ndarray]:
        """Return the coherency, what the map leaves out, and what the score keeps."""
        return [
            self._coherency.values(batch),
            1.0 - self._complexity.values(batch),
            1.0 - self._drop.values(batch) / 100.0,
        ]
