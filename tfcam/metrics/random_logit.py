"""The random logit test."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfcam.metrics.base import PerturbedBatch, SimilarityMetric
from tfcam.operators.classification import Classification


class RandomLogit(SimilarityMetric):
    r"""Is the map of another class the same?

    .. math:: \frac{1}{|D|} \sum_{d \in D} \text{similarity}(L_c, L_d)

    over other classes D of the same image, chosen at random. A map that stays alike says where something is,
    not what speaks for the class.

    Parameters
    ----------
    samples : int
        How many other classes; at most all of them.
    seed : int

    Warnings
    --------
    Methods that explain no class have 1, whatever they show. Other classes than those in the image may look at the same
    places for good reasons; of two classes, what speaks for one speaks against the other.

    References
    ----------
    Sixt, Granz and Landgraf, When explanations lie: Why many modified BP attributions fail, ICML 2020,
    arXiv:1912.09818.
    """

    name = "random-logit"
    question = "is the map of another class the same?"
    higher_is_better = False
    cost = "one explanation for each of some other classes"
    paper = "Sixt et al., ICML 2020"

    def __init__(self, *arguments: Any, samples: int = 3, seed: int = 0, **named: Any) -> None:
        super().__init__(*arguments, **named)
        if samples < 1:
            raise ValueError(f"samples={samples!r} must be at least 1.")
        if type(self.scores.operator) is not Classification:
            raise ValueError(
                f"RandomLogit explains other classes, and operator={self.scores.operator.name!r} has none: leave it "
                "out, or measure ModelRandomization."
            )
        self.samples, self.seed = samples, seed

    def values(self, batch: PerturbedBatch) -> np.ndarray:
        """Return the mean similarity over the other classes."""
        others = self._others(np.asarray(batch.targets))
        found = [self.alike(batch, batch.heatmaps_of(batch.inputs, targets)) for targets in others]
        return np.mean(found, axis=0)

    def _others(self, targets: np.ndarray) -> list[np.ndarray]:
        """Return targets ``(N, C)`` of other classes: as many classes further on, of the last the first."""
        classes = targets.shape[-1]
        if classes == 1:
            return [-targets]
        steps = 1 + np.random.default_rng(self.seed).permutation(classes - 1)[: self.samples]
        return [np.roll(targets, step, axis=-1) for step in steps]
