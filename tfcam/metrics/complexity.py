"""Complexity."""

from __future__ import annotations

import numpy as np

from tfcam.metrics.base import MapMetric, PerturbedBatch
from tfcam.ops.normalize import unit_range


class Complexity(MapMetric):
    r"""How much of the image does the map show?

    .. math:: \frac{\lVert L \rVert_1}{h w}

    with the map scaled to [0, 1]: its mean. The model is not asked: ``Complexity().evaluate(heatmaps)``.

    Notes
    -----
    Xplique's Complexity is another thing, the entropy of the map.

    References
    ----------
    Poppi et al., Revisiting the evaluation of class activation mapping for explainability, CVPR Workshops 2021,
    arXiv:2104.10252.
    """

    name = "complexity"
    family = "shape"
    question = "how much of the image does the map show?"
    higher_is_better = False
    bounds = (0.0, 1.0)
    cost = "nothing"
    paper = "Poppi et al., CVPR Workshops 2021"

    def values(self, batch: PerturbedBatch) -> np.ndarray:
        """Return the mean of each map, scaled."""
        masks = np.asarray(unit_range(batch.heatmaps), np.float64)
        return masks.mean(axis=tuple(range(1, masks.ndim)))
