"""Intersection over union."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfcam.metrics.base import LocalisationMetric


class IoU(LocalisationMetric):
    r"""Is what the map shows the object?

    .. math:: \frac{|\text{shown} \cap \text{mask}|}{|\text{shown} \cup \text{mask}|}, \qquad
              \text{shown} = \{L_{ij} \ge t \max L\}

    Parameters
    ----------
    threshold : float
        t, the share of the highest value above which the map shows something. 0.2, as CAM's boxes have it; Grad-CAM's
        have 0.15.

    Warnings
    --------
    The threshold decides much. `MaxBoxAcc` takes the best one, and `RelevanceRankAccuracy` needs none.

    References
    ----------
    Zhou et al., Learning deep features for discriminative localization, CVPR 2016, arXiv:1512.04150.
    """

    name = "iou"
    question = "is what the map shows the object?"
    paper = "Zhou et al., CVPR 2016"

    def __init__(self, *arguments: Any, threshold: float = 0.2, **named: Any) -> None:
        super().__init__(*arguments, **named)
        if not 0 < threshold <= 1:
            raise ValueError(f"threshold={threshold!r} is the share of the highest value: above 0 and at most 1.")
        self.threshold = threshold

    def value(self, heatmap: np.ndarray, mask: np.ndarray, boxes: np.ndarray | None) -> float:
        """Return the intersection over the union; NaN of a map without anything positive."""
        if heatmap.max() <= 0:
            return float("nan")
        shown = heatmap >= self.threshold * heatmap.max()
        return float((shown & mask).sum() / (shown | mask).sum())
