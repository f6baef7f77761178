"""The base of metrics that explain again: with other weights, other classes or other images."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from tfcam.backend.weight_randomization import RandomizedWeights
from tfcam.engine import ExplanationWarning
from tfcam.methods.base import Explainer
from tfcam.metrics.base.metric import Metric
from tfcam.metrics.base.perturbed_batch import PerturbedBatch
from tfcam.metrics.base.similarity import require_similarity, similarities


class SimilarityMetric(Metric):
    """A metric of how alike maps are to others that the same method makes.

    It needs what made the maps: ``evaluate(heatmaps, explainer)``.

    Parameters
    ----------
    similarity : {"spearman", "ssim"}
        The correlation of the ranks of the pixels, or the structural similarity, for images of two dimensions. A map
        that is the same everywhere is like no other: 0.
    """

    family = "sanity"
    bounds = (-1.0, 1.0)
    needs_explainer = True

    def __init__(self, *arguments: Any, similarity: str = "spearman", **named: Any) -> None:
        super().__init__(*arguments, **named)
        require_similarity(similarity)
        self.similarity = similarity

    def alike(self, batch: PerturbedBatch, others: np.ndarray) -> np.ndarray:
        """Return how alike the maps are to others of the same images, ``(N,)``."""
        return similarities(self.similarity, np.asarray(batch.heatmaps, np.float64), usable(others))


def usable(maps: np.ndarray) -> np.ndarray:
    """Return maps in which what is no number is nothing."""
    return np.nan_to_num(maps, posinf=0.0, neginf=0.0)


class RandomizedModel:
    """The maps of an explainer whose model has random weights, for the metrics that compare with them."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._known: dict[int, tuple[Any, RandomizedWeights]] = {}

    def check(self, explainer: Any, metric: str) -> None:
        """Refuse a function in place of an explainer."""
        if not isinstance(explainer, Explainer):
            raise ValueError(
                f"{metric} draws the weights of the model anew, so it needs a tfcam.Explainer, got "
                f"{type(explainer).__name__}."
            )

    def layers(self, batch: PerturbedBatch) -> list[Any]:
        """Return the layers that have weights, from the input to the output."""
        return self._weights_of(batch).layers

    def maps(self, batch: PerturbedBatch, layers: Iterable[int]) -> np.ndarray:
        """Return the maps ``(N, *grid)`` with new weights in these of the layers."""
        with self._weights_of(batch).at(layers), warnings.catch_warnings():
            # They would be of a model that is not the user's.
            warnings.simplefilter("ignore", ExplanationWarning)
            return usable(batch.heatmaps_of(batch.inputs, batch.targets))

    def _weights_of(self, batch: PerturbedBatch) -> RandomizedWeights:
        explainer: Any = batch.explainer
        if id(explainer.model) not in self._known:
            drawn = RandomizedWeights(explainer.model, explainer.session.called_layers, self._seed)
            self._known[id(explainer.model)] = explainer.model, drawn
        return self._known[id(explainer.model)][1]
