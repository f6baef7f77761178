"""The energy-based pointing game."""

from __future__ import annotations

import numpy as np

from tfcam.metrics.base import LocalisationMetric
from tfcam.metrics.base.map_metric import share_within
from tfcam.ops.filled_boxes import filled


class EnergyPointingGame(LocalisationMetric):
    r"""How much of the map lies in the object's box?

    .. math:: \frac{\sum_{(i,j) \in \text{box}} L_{ij}}{\sum_{ij} L_{ij}}

    of the positive values of the map, in the boxes of the object, or that around its mask. `RelevanceMassAccuracy` is
    the same within the mask itself.

    Notes
    -----
    The authors' code takes rows of the map for x and columns for y, so that boxes are turned about the diagonal; here
    they are not.

    References
    ----------
    Wang et al., Score-CAM: Score-weighted visual explanations for convolutional neural networks, CVPR Workshops 2020,
    arXiv:1910.01279.
    """

    name = "energy-pointing-game"
    question = "how much of the map lies in the object's box?"
    paper = "Wang et al., CVPR Workshops 2020"

    def value(self, heatmap: np.ndarray, mask: np.ndarray, boxes: np.ndarray | None) -> float:
        """Return the share of the map within the boxes; of maps of other than two dimensions, within the mask."""
        return share_within(heatmap, mask if boxes is None else filled(boxes, heatmap.shape))
