"""Relevance rank accuracy."""

from __future__ import annotations

import numpy as np

from tfcam.metrics.base import LocalisationMetric


class RelevanceRankAccuracy(LocalisationMetric):
    r"""Are the highest pixels, as many as the object has, on the object?

    .. math:: \frac{|\text{top}_K(L) \cap \text{mask}|}{K}, \qquad K = |\text{mask}|

    Notes
    -----
    Of pixels that share the lowest value that still counts, each counts for as much as there is room: the order in
    which they are read does not matter.

    References
    ----------
    Arras et al., CLEVR-XAI: A benchmark dataset for the ground truth evaluation of neural network explanations,
    Information Fusion 2022, arXiv:2003.07258.
    """

    name = "relevance-rank-accuracy"
    question = "are the highest pixels, as many as the object has, on the object?"
    paper = "Arras et al., Information Fusion 2022"

    def value(self, heatmap: np.ndarray, mask: np.ndarray, boxes: np.ndarray | None) -> float:
        """Return the share of the highest pixels that lie within the mask."""
        count = int(mask.sum())
        lowest = np.partition(heatmap.ravel(), -count)[-count]
        above, at = heatmap > lowest, heatmap == lowest
        room = (count - above.sum()) / at.sum()
        return float(((above & mask).sum() + room * (at & mask).sum()) / count)
