"""Average Increase."""

from __future__ import annotations

import numpy as np

from tfcam.metrics.base import MaskedMetric


class AverageIncrease(MaskedMetric):
    r"""How often is the class more likely where the image is seen through the map?

    .. math:: \frac{100}{N} \sum_i 1[o_i > p_i]

    with the score :math:`p_i` of the class, and :math:`o_i` of it for the image times its map, scaled to [0, 1].

    Notes
    -----
    Also called increase in confidence. Xplique gives a share, not percent.

    References
    ----------
    Chattopadhay et al., Grad-CAM++, WACV 2018, arXiv:1710.11063.
    """

    name = "average-increase"
    question = "for how many images is the class more likely where only what the map shows is seen?"
    higher_is_better = True
    bounds = (0.0, 100.0)
    paper = "Chattopadhay et al., WACV 2018"

    def compare(self, clean: np.ndarray, masked: np.ndarray) -> np.ndarray:
        """Return 100 where the score rises, 0 elsewhere."""
        return 100.0 * (masked > clean)
