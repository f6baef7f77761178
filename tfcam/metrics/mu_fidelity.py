"""MuFidelity."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfcam.metrics.base import Metric, PerturbedBatch, RandomSubsets
from tfcam.ops.baselines import find_baseline
from tfcam.ops.correlation import pearson, spearman

_CORRELATIONS = {"pearson": pearson, "spearman": spearman}


class MuFidelity(Metric):
    r"""Does the score drop by as much as the map says, whatever is taken away?

    .. math:: \operatorname{corr}_S \Big( \sum_{i \in S} L_i,\; f(x) - f(x_{S \to \text{baseline}}) \Big)

    over subsets S of the pixels, each with as many of them, drawn at random, the same for every image and method.

    Parameters
    ----------
    cells : int or None
        The pixels of a subset come in cells, so many along each axis. None: pixels one by one.
    samples : int
        The number of subsets.
    percent : float
        How many of the cells a subset has, in percent.
    baseline : float, array (channels,), "mean", "blur" or callable
        What is there in their place, as for `AverageDrop`.
    correlation : {"pearson", "spearman"}
    sampling : {"exact", "bernoulli"}
        Whether each subset has that many cells, or each cell is in it with that probability.
    seed : int

    Warnings
    --------
    Single pixels, taken away at random, hardly change what a convolutional network sees: where there are no cells, what
    correlates is noise.

    Notes
    -----
    The paper's subsets are of single features (``cells=None``). Xplique's cells are the same as these, its subsets are
    of that size on average, drawn anew without a seed, and ranks are correlated
    (``correlation="spearman", sampling="bernoulli"``). Where the score is the same whatever is taken away, or the sums
    are, there is no correlation: 0.

    References
    ----------
    Bhatt et al., Evaluating and aggregating feature-based model explanations, IJCAI 2020, arXiv:2005.00631, definition
    3.
    """

    name = "mu-fidelity"
    question = "does the score drop by as much as the map says, whatever is taken away?"
    higher_is_better = True
    bounds = (-1.0, 1.0)
    cost = "one forward pass for each of 200 subsets, shared by all methods"
    paper = "Bhatt et al., IJCAI 2020"

    def __init__(
        self,
        *arguments: Any,
        cells: int | None = 9,
        samples: int = 200,
        percent: float = 20.0,
        baseline: Any = 0.0,
        correlation: str = "pearson",
        sampling: str = "exact",
        seed: int = 0,
        **named: Any,
    ) -> None:
        super().__init__(*arguments, **named)
        if correlation not in _CORRELATIONS:
            raise ValueError(f"correlation={correlation!r} is neither 'pearson' nor 'spearman'.")
        if sampling not in ("exact", "bernoulli"):
            raise ValueError(f"sampling={sampling!r} is neither 'exact' nor 'bernoulli'.")
        if samples < 2 or not 0 < percent < 100 or (cells is not None and cells < 2):
            raise ValueError(
                "samples and cells must be at least 2 and percent between 0 and 100, got "
                f"{samples}, {cells} and {percent}."
            )
        exact = sampling == "exact"
        self._subsets = RandomSubsets(samples, cells, percent / 100.0, exact, find_baseline(baseline), seed)
        self._correlation = _CORRELATIONS[correlation]

    def values(self, batch: PerturbedBatch) -> np.ndarray:
        """Return the correlation of the map's sums with the drops of the score."""
        drops = batch.clean_scores()[:, None] - batch.perturbed_scores(self._subsets)
        sums = self._subsets.sums(np.asarray(batch.heatmaps))
        return self._correlation(sums, drops)
