"""Average Drop in Deletion."""

from __future__ import annotations

import numpy as np

from tfcam.metrics.base import MaskedMetric
from tfcam.metrics.base.masked_metric import over


class AverageDropInDeletion(MaskedMetric):
    r"""How much of its probability does a class lose where the image is seen but what the map shows?

    .. math:: \frac{100}{N} \sum_i \frac{\max(0,\, p_i - o_i)}{p_i}

    with the probability :math:`p_i` of the class, and :math:`o_i` of it for the image times one less its map, scaled
    to [0, 1].

    References
    ----------
    Jung and Oh, Towards better explanations of class activation mapping, ICCV 2021, arXiv:2102.05228.
    """

    name = "average-drop-in-deletion"
    question = "how much of the class's probability is lost where what the map shows is taken away?"
    higher_is_better = True
    bounds = (0.0, 100.0)
    paper = "Jung and Oh, ICCV 2021"
    needs_probabilities = True
    inverted = True

    def compare(self, clean: np.ndarray, masked: np.ndarray) -> np.ndarray:
        """Return the drops, in percent."""
        return 100.0 * over(np.maximum(clean - masked, 0.0), clean)
