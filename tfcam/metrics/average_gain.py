"""Average Gain."""

from __future__ import annotations

import numpy as np

from tfcam.metrics.base import MaskedMetric
from tfcam.metrics.base.masked_metric import over


class AverageGain(MaskedMetric):
    r"""How much of what is missing to certainty does a class gain where the image is seen through the map?

    .. math:: \frac{100}{N} \sum_i \frac{\max(0,\, o_i - p_i)}{1 - p_i}

    with the probability :math:`p_i` of the class, and :math:`o_i` of it for the image times its map, scaled to [0, 1].

    Notes
    -----
    The counterpart of `AverageDrop`: a map that is bright everywhere gains nothing. Xplique gives a share, not percent.

    References
    ----------
    Zhang et al., Opti-CAM: Optimizing saliency maps for interpretability, CVIU 2024, arXiv:2301.07002.
    """

    name = "average-gain"
    question = "how much surer is the model where only what the map shows is seen?"
    higher_is_better = True
    bounds = (0.0, 100.0)
    paper = "Zhang et al., CVIU 2024"
    needs_probabilities = True

    def compare(self, clean: np.ndarray, masked: np.ndarray) -> np.ndarray:
        """Return the gains, in percent."""
        return 100.0 * over(np.maximum(masked - clean, 0.0), 1.0 - clean)
