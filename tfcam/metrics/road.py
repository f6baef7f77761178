"""ROAD."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfcam.metrics.base import Curve, CurveMetric, Imputation, PerturbedBatch

_ORDERS = ("combined", "most", "least")


class ROAD(CurveMetric):
    r"""How much more does it cost to lose the pixels that matter most than those that matter least?

    .. math:: \frac{1}{|Q|} \sum_{q \in Q} \frac{p_c(x_{\text{without the least relevant } q}) -
        p_c(x_{\text{without the most relevant } q})}{2}

    where the pixels that are gone are filled in from those around them, so that their outline tells the model nothing:
    each is the mean of its eight neighbours, those that share a side weighing twice as much, with a little noise.

    Parameters
    ----------
    percents : sequence of float, or float
        Q: how many pixels are gone, in percent.
    order : {"combined", "most", "least"}
        The difference of both, or the mean score without the most relevant (lower is better), or the least relevant
        pixels (higher is better).
    noise : float
        The standard deviation of the noise, over that of the image.
    seed : int
        Of the noise, which is the same for every image.

    Notes
    -----
    A system of as many equations as there are pixels gone is solved for each variant of each image, by SciPy.
    Pixels are ranked, equal ones in reading order. By percentiles, as in pytorch-grad-cam, a map with 75 % zeros has
    all its pixels removed at once, and the system has no solution. That library's scores are differences from the
    image's own. The paper's curves are of the accuracy; the score of the class says more of a single image.
    Its noise is of standardised images; as a share of each image's deviation it is the same for pixels of any range.

    References
    ----------
    Rong et al., A consistent and efficient evaluation strategy for attribution methods, ICML 2022, arXiv:2202.00449.
    """

    name = "road"
    question = "how much more does it cost to lose what the map shows than what it does not?"
    higher_is_better = True
    bounds = (-0.5, 0.5)
    cost = "one forward pass for each of eight shares of the pixels, and a sparse system for each"
    paper = "Rong et al., ICML 2022"

    def __init__(
        self,
        *arguments: Any,
        percents: Sequence[float] | float = (20, 40, 60, 80),
        order: str = "combined",
        noise: float = 0.01,
        seed: int = 0,
        **named: Any,
    ) -> None:
        super().__init__(*arguments, **named)
        if order not in _ORDERS:
            raise ValueError(f"order={order!r} is none of {_ORDERS}.")
        shares = sorted(float(percent) for percent in np.atleast_1d(percents))
        if not shares or shares[0] <= 0 or shares[-1] >= 100:
            raise ValueError(f"percents={percents!r} must lie between 0 and 100: there must be pixels to fill in from.")
        if order != "combined":
            self.higher_is_better, self.bounds = order == "least", (0.0, 1.0)
        self._order, self._percents = order, tuple(shares)
        self._noise, self._seed = noise, seed

    def values(self, batch: PerturbedBatch) -> np.ndarray:
        """Return the mean over the shares."""
        return self.curves(batch).scores.mean(axis=1)

    def curves(self, batch: PerturbedBatch) -> Curve:
        """Return what each share of the pixels costs."""
        most, least = (Imputation(self._percents, first, self._noise, self._seed) for first in (True, False))
        if self._order == "combined":
            scores = (batch.perturbed_scores(least) - batch.perturbed_scores(most)) / 2.0
        else:
            scores = batch.perturbed_scores(most if self._order == "most" else least)
        return Curve(np.array(self._percents) / 100.0, scores)
