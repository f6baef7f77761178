"""Deletion."""

from __future__ import annotations

from tfcam.metrics.base import PixelFlippingMetric


class Deletion(PixelFlippingMetric):
    r"""How soon does the class become unlikely while pixels are deleted, those that matter most first?

    .. math:: \int_0^1 p_c(x_{\text{without the share } q \text{ of its pixels}})\, dq

    by the trapezoidal rule, pixels being ranked by the map.

    Warnings
    --------
    Images with holes are none that the model was trained on: part of what is measured is that. Where many values of a
    map are alike, as the zeros of a ReLU, their pixels go in reading order.

    Notes
    -----
    Xplique's takes ten steps (``percent=10``), ranks equal values in an order that depends on the sort, and measures
    outputs as they are (``activation=None``). torch-cam's takes twenty (``percent=5``).

    References
    ----------
    Petsiuk et al., RISE: Randomized input sampling for explanation of black-box models, BMVC 2018, arXiv:1806.07421.
    """

    name = "deletion"
    question = "how soon does the class become unlikely while what the map shows is deleted?"
    higher_is_better = False
    bounds = (0.0, 1.0)
    paper = "Petsiuk et al., BMVC 2018"
    inserts = False
