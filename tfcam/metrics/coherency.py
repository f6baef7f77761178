"""Coherency."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfcam.metrics.base import Masking, Metric, PerturbedBatch
from tfcam.metrics.base.metric import constant_maps
from tfcam.ops.baselines import find_baseline
from tfcam.ops.correlation import pearson


class Coherency(Metric):
    r"""Does the image seen through its map have the same map?

    .. math:: \frac{1 + \operatorname{corr}\big(L(x),\, L(x \odot L(x))\big)}{2}

    of the same class, the map that masks being scaled to [0, 1]. It needs what made the maps:
    ``Coherency(model, images, labels).evaluate(heatmaps, explainer)``.

    Parameters
    ----------
    baseline : float, array (channels,), "mean", "blur" or callable
        What is seen where the map is 0, as for `AverageDrop`.

    Notes
    -----
    Where the second map is the same everywhere, there is no correlation: 0.

    References
    ----------
    Poppi et al., Revisiting the evaluation of class activation mapping for explainability, CVPR Workshops 2021,
    arXiv:2104.10252.
    """

    name = "coherency"
    family = "shape"
    question = "does the image seen through its map have the same map?"
    higher_is_better = True
    bounds = (0.0, 1.0)
    cost = "one explanation"
    paper = "Poppi et al., CVPR Workshops 2021"
    needs_explainer = True

    def __init__(self, *arguments: Any, baseline: Any = 0.0, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._perturbation = Masking(baseline=find_baseline(baseline))

    def values(self, batch: PerturbedBatch) -> np.ndarray:
        """Return the correlations, from 0 to 1."""
        again = batch.perturbed_heatmaps(self._perturbation)
        one, other = (np.reshape(np.asarray(maps, np.float64), (len(again), -1)) for maps in (batch.heatmaps, again))
        return np.where(constant_maps(again), 0.0, (1.0 + pearson(one, other)) / 2.0)
