"""Average Drop."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfcam.metrics.base import MaskedMetric
from tfcam.metrics.base.masked_metric import over


class AverageDrop(MaskedMetric):
    r"""How much of its probability does a class lose where the image is seen through the map?

    .. math:: \frac{100}{N} \sum_i \frac{\max(0,\, p_i - o_i)}{p_i}

    with the probability :math:`p_i` of the class, and :math:`o_i` of it for the image times its map, scaled to [0, 1].

    Parameters
    ----------
    relative : bool
        Whether the drop is divided by what there was.
    averaged_over : {"all", "dropped"}
        All images, or those whose probability drops.

    Warnings
    --------
    A map that is bright everywhere hides nothing and so wins. Look at the complexity too, or at `ADCC`.

    Notes
    -----
    One name for several metrics. Score-CAM's paper keeps the half of the pixels that the map is highest at
    (``keep=0.5, binary=True``); the code of Relevance-CAM keeps that half times the map and divides by the number of
    images that dropped (``keep=0.5, averaged_over="dropped"``); pytorch-grad-cam's DropInConfidence does not divide by
    p (``relative=False``); Xplique takes the map without its sign (``mask="absolute"``), and gives a share, not
    percent.

    References
    ----------
    Chattopadhay et al., Grad-CAM++, WACV 2018, arXiv:1710.11063.
    """

    name = "average-drop"
    question = "how much of the class's probability is lost where only what the map shows is seen?"
    higher_is_better = False
    bounds = (0.0, 100.0)
    paper = "Chattopadhay et al., WACV 2018"
    needs_probabilities = True

    def __init__(self, *arguments: Any, relative: bool = True, averaged_over: str = "all", **named: Any) -> None:
        super().__init__(*arguments, **named)
        if averaged_over not in ("all", "dropped"):
            raise ValueError(f"averaged_over={averaged_over!r} is neither 'all' nor 'dropped'.")
        self._is_relative, self._leaves_out_gains = relative, averaged_over == "dropped"

    def compare(self, clean: np.ndarray, masked: np.ndarray) -> np.ndarray:
        """Return the drops, in percent; NaN, which the mean leaves out, where there is none to average."""
        drop = np.maximum(clean - masked, 0.0)
        percent = 100.0 * (over(drop, clean) if self._is_relative else drop)
        return np.where(drop > 0, percent, np.nan) if self._leaves_out_gains else percent
