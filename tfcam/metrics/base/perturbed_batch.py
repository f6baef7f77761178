"""Perturbed images and the scores of a model for them: every metric is a function of these."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from typing import Any, ClassVar, TypeVar

import numpy as np
import tensorflow as tf

from tfcam.metrics.base.scores import Batch, Scores, require_finite
from tfcam.ops.baselines import Baseline

T = TypeVar("T")


class Perturbation(ABC):
    """A number of variants of each image.

    Perturbations are frozen dataclasses. Equal ones are scored once, whichever metrics ask for them.
    """

    #: Whether the variants depend on the maps; those that do not are scored once for all methods.
    is_of_maps: ClassVar[bool] = True

    @abstractmethod
    def count(self, grid: tuple[int, ...]) -> int:
        """Return how many variants an image with this grid has."""

    def prepared(self, batch: PerturbedBatch) -> Any:
        """Return what the variants are made of, tensors ``(N, ...)``: of an image and its map, computed once."""
        return ()

    @abstractmethod
    def variants(self, images: tf.Tensor, prepared: Any, numbers: tf.Tensor) -> tf.Tensor:
        """Return the variants of these numbers ``(n,)`` of images ``(n, *grid, channels)``, one of each."""


class PerturbedBatch:
    """A batch of images with their maps, and the scores of the model for perturbed variants of the images.

    Attributes
    ----------
    images : tf.Tensor
        ``(N, *grid, channels)`` float32.
    heatmaps : tf.Tensor
        ``(N, *grid)`` float32.
    inputs, targets
        As the model and the operator take them.
    ground_truth : GroundTruth or None
        Where the objects are.
    count : int
        The number of images.
    explainer : callable or None
        What made the maps, of inputs and targets.
    options : dict
        What it was called with besides.
    """

    def __init__(
        self,
        scores: Scores,
        batch: Batch,
        heatmaps: tf.Tensor,
        batch_size: int | None,
        explainer: Callable[..., tf.Tensor] | None = None,
        shared: dict[Hashable, Any] | None = None,
        options: dict[str, Any] | None = None,
    ) -> None:
        self.inputs, self.targets, self.images = batch.inputs, batch.targets, batch.images
        self.ground_truth, self.count = batch.ground_truth, batch.count
        self.heatmaps, self.explainer = heatmaps, explainer
        self.options = options or {}
        self._scores, self._batch, self._batch_size = scores, batch, batch_size
        self._own: dict[Hashable, Any] = {}
        #: What does not depend on the maps; given from outside, it is known to all methods.
        self._shared = {} if shared is None else shared

    def clean_scores(self) -> np.ndarray:
        """Return the scores ``(N,)`` of the images themselves."""

        def compute() -> np.ndarray:
            scores = self._scores.scores(self.inputs, self.targets)
            return require_finite(np.asarray(scores, np.float64), "the images")

        return _once(self._shared, "clean", compute)

    def ranks(self, most_relevant_first: bool = True) -> tf.Tensor:
        """Return the ranks of the cells, ``(N, *grid)`` int32; those of cells that are alike, in reading order."""

        def compute() -> tf.Tensor:
            flat = np.reshape(np.asarray(self.heatmaps), (self.count, -1))
            order = np.argsort(-flat if most_relevant_first else flat, axis=1, kind="stable")
            ranks = np.empty(order.shape, np.int32)
            np.put_along_axis(ranks, order, np.arange(order.shape[1], dtype=np.int32)[None], axis=1)
            return tf.constant(ranks.reshape(self.heatmaps.shape))

        return _once(self._own, ("ranks", most_relevant_first), compute)

    def baselines(self, baseline: Baseline) -> tf.Tensor:
        """Return the baselines of the images, ``(N, *grid, channels)``; made once for all perturbations and methods."""
        return _once(self._shared, ("baseline", baseline), lambda: baseline.of(self.images))

    def shared(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return what is computed once for all methods, of the images, the targets and the model alone."""
        return _once(self._shared, key, compute)

    def perturbed_scores(self, perturbation: Perturbation) -> np.ndarray:
        """Return the scores ``(N, count)`` of the variants, of which at most ``batch_size`` are held in memory."""
        known = self._own if perturbation.is_of_maps else self._shared
        return _once(known, perturbation, lambda: self._score(perturbation))

    def _score(self, perturbation: Perturbation) -> np.ndarray:
        count = perturbation.count(tuple(self.images.shape[1:-1]))
        prepared = perturbation.prepared(self)
        total = self.count * count
        most, scores = self._batch_size or total, [np.zeros(0)]
        for start in range(0, total, max(most, 1)):
            pairs = tf.range(start, min(start + most, total))
            rows, numbers = pairs // count, pairs % count
            variants = perturbation.variants(tf.gather(self.images, rows), _rows(prepared, rows), numbers)
            scores.append(self._scores.scores(*self._scores.inputs_at(self._batch, rows, variants)))
        answered = np.reshape(np.concatenate(scores), (self.count, count))
        return require_finite(answered, f"images perturbed by {type(perturbation).__name__}")

    def perturbed_heatmaps(self, perturbation: Perturbation) -> np.ndarray:
        """Return the maps ``(N, *grid)`` that the explainer gives of the first variants of a perturbation."""
        return _once(self._own, ("heatmaps", perturbation), lambda: self._explain(perturbation))

    def _explain(self, perturbation: Perturbation) -> np.ndarray:
        rows = tf.range(self.count)
        variants = perturbation.variants(self.images, perturbation.prepared(self), tf.zeros_like(rows))
        return self.heatmaps_of(*self._scores.inputs_at(self._batch, rows, variants))

    def heatmaps_of(self, inputs: Any, targets: Any) -> np.ndarray:
        """Return the maps ``(N, *grid)`` float64 that the explainer gives of as many other inputs, or targets."""
        if self.explainer is None:
            raise ValueError("There is no explainer to explain the images again.")
        return self._read_again(self.explainer(inputs, targets, **self.options))

    def _read_again(self, maps: Any) -> np.ndarray:
        """Return maps that an explainer gave of as many images, ``(N, *grid)`` float64."""
        again = np.asarray(maps, np.float64)
        if again.size != np.prod(self.heatmaps.shape):
            raise ValueError(
                f"The explainer gives maps of shape {again.shape} for images of shape {tuple(self.images.shape)}: one "
                "number for each cell of the image is expected, as from explain()."
            )
        return again.reshape(tuple(self.heatmaps.shape))


def _rows(structure: Any, rows: tf.Tensor) -> Any:
    return tf.nest.map_structure(lambda tensor: tf.gather(tensor, rows), structure)


def _once(known: dict[Hashable, Any], key: Hashable, compute: Callable[[], T]) -> T:
    if key not in known:
        known[key] = compute()
    return known[key]
