"""The efficient model parameter randomization test."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfcam.metrics.base import Metric, PerturbedBatch, RandomizedModel


class EMPRT(Metric):
    r"""Is the map less orderly when the model has forgotten all that it learned?

    .. math:: \frac{\xi(L_{\text{drawn}}) - \xi(L)}{\xi(L)}, \qquad \xi(L) = -\sum_b p_b \log p_b

    with p the histogram of the map's values, and :math:`L_{\text{drawn}}` the map of the same model with all weights
    drawn anew. A map that follows what was learned gains entropy; no two maps are compared, and nothing depends on the
    order of layers. It needs what made the maps: ``evaluate(heatmaps, explainer)``.

    Parameters
    ----------
    bins : int
        Of the histogram.
    seed : int

    Warnings
    --------
    It measures how values are spread, not what is where. On the embedded model Guided Grad-CAM, which
    `ModelRandomization` finds to stay alike, rises most of all: its map of the trained model is empty but for a few
    edges. Read it beside that.

    References
    ----------
    Hedström et al., Sanity checks revisited: An exploration to repair the model parameter randomisation test, XAI in
    Action Workshop at NeurIPS 2023, arXiv:2401.06465.
    """

    name = "emprt"
    family = "sanity"
    question = "is the map less orderly when the model has forgotten all that it learned?"
    higher_is_better = True
    bounds = (-1.0, np.inf)
    cost = "one explanation"
    paper = "Hedström et al., NeurIPS Workshops 2023"
    needs_explainer = True

    def __init__(self, *arguments: Any, bins: int = 100, seed: int = 0, **named: Any) -> None:
        super().__init__(*arguments, **named)
        if bins < 2:
            raise ValueError(f"bins={bins!r} must be at least 2.")
        self.bins, self._randomized_model = bins, RandomizedModel(seed)

    def check_explainer(self, explainer: Any) -> None:
        """Refuse functions."""
        super().check_explainer(explainer)
        self._randomized_model.check(explainer, type(self).__name__)

    def values(self, batch: PerturbedBatch) -> np.ndarray:
        """Return the share by which each map's entropy rises."""
        maps = np.asarray(batch.heatmaps, np.float64)
        drawn = self._randomized_model.maps(batch, range(len(self._randomized_model.layers(batch))))
        before, after = (np.array([self._entropy(one) for one in each]) for each in (maps, drawn))
        return np.divide(after - before, before, out=np.full(len(before), np.nan), where=before > 0)

    def _entropy(self, heatmap: np.ndarray) -> float:
        counts, _ = np.histogram(heatmap, self.bins)
        shares = counts[counts > 0] / counts.sum()
        return float(-(shares * np.log(shares)).sum())
