"""Relevance mass accuracy."""

from __future__ import annotations

import numpy as np

from tfcam.metrics.base import LocalisationMetric
from tfcam.metrics.base.map_metric import share_within


class RelevanceMassAccuracy(LocalisationMetric):
    r"""How much of the map lies on the object?

    .. math:: \frac{\sum_{(i,j) \in \text{mask}} L_{ij}}{\sum_{ij} L_{ij}}

    of the positive values of the map.

    References
    ----------
    Arras et al., CLEVR-XAI: A benchmark dataset for the ground truth evaluation of neural network explanations,
    Information Fusion 2022, arXiv:2003.07258.
    """

    name = "relevance-mass-accuracy"
    question = "how much of the map lies on the object?"
    paper = "Arras et al., Information Fusion 2022"

    def value(self, heatmap: np.ndarray, mask: np.ndarray, boxes: np.ndarray | None) -> float:
        """Return the share of the map within the mask."""
        return share_within(heatmap, mask)
