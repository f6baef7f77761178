"""Insertion."""

from __future__ import annotations

from tfcam.metrics.base import PixelFlippingMetric


class Insertion(PixelFlippingMetric):
    r"""How soon does the class become likely while pixels are put into a blurred image, those that matter most first?

    .. math:: \int_0^1 p_c(x_{\text{with the share } q \text{ of its pixels}})\, dq

    by the trapezoidal rule, pixels being ranked by the map.

    Notes
    -----
    The paper begins with the image blurred, by a window of 11 pixels of 224 with the standard deviation 5, which is in
    proportion for other sizes. Xplique and torch-cam begin with zeros (``baseline=0``); of Xplique see `Deletion`.

    References
    ----------
    Petsiuk et al., RISE: Randomized input sampling for explanation of black-box models, BMVC 2018, arXiv:1806.07421.
    """

    name = "insertion"
    question = "how soon does the class become likely while what the map shows is put into a blurred image?"
    higher_is_better = True
    bounds = (0.0, 1.0)
    paper = "Petsiuk et al., BMVC 2018"
    inserts = True
    default_baseline = "blur"
