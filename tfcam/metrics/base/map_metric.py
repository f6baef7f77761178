"""The bases of metrics that need no model: of the map alone, and of the map against ground truth."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tfcam.metrics.base.ground_truth import GroundTruth
from tfcam.metrics.base.metric import Metric
from tfcam.metrics.base.perturbed_batch import PerturbedBatch
from tfcam.metrics.base.scores import Batch


class MapMetric(Metric):
    """A metric for which neither model nor images are needed: ``Complexity().evaluate(heatmaps)``."""

    def __init__(self, model: Any = None, inputs: Any = None, *arguments: Any, **named: Any) -> None:
        super().__init__(_unasked if model is None else model, inputs, *arguments, **named)

    def batches(self, maps: np.ndarray) -> Iterator[Batch]:
        """Yield batches of the maps themselves."""
        most = self.batch_size or len(maps)
        channels = maps if maps.ndim > 2 and maps.shape[-1] == 1 else maps[..., None]
        for start in range(0, len(maps), most):
            own = tf.constant(channels[start : start + most])
            yield Batch(own, None, own, self.ground_truth_of(start, start + len(own)))

    def ground_truth_of(self, start: int, stop: int) -> GroundTruth | None:
        """Return where the objects of these images are, as the user told this metric."""
        return None


class LocalisationMetric(MapMetric):
    """A metric of where a map is high, and where the object is.

    Parameters
    ----------
    masks : array (N, *grid) or (N, *grid, 1), or None
        What is not zero is the object, in the grid of the maps.
    boxes : array (N, 4), list of arrays (4,) or (k, 4), or None
        Left, top, right, bottom, in pixels, as in ``image[top:bottom, left:right]``. Where there are no masks, what a
        box holds is the object; where there are no boxes, that around the mask is its box.
    """

    family = "localisation"
    higher_is_better = True
    bounds = (0.0, 1.0)
    cost = "nothing"
    needs_objects = True

    def __init__(self, *arguments: Any, masks: Any = None, boxes: Any = None, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._ground_truth = None if masks is None and boxes is None else GroundTruth(masks, boxes)

    @abstractmethod
    def value(self, heatmap: np.ndarray, mask: np.ndarray, boxes: np.ndarray | None) -> Any:
        """Return the value of a map ``(*grid)`` for a mask ``(*grid)``, and boxes ``(k, 4)`` of two dimensions."""

    def values(self, batch: PerturbedBatch) -> np.ndarray:
        """Return the value of each map."""
        maps, ground_truth = np.asarray(batch.heatmaps, np.float64), batch.ground_truth
        if ground_truth is None:
            raise ValueError(f"{type(self).__name__} compares maps with where the objects are: give masks= or boxes=.")
        grid = maps.shape[1:]
        boxes: Any = ground_truth.boxes(grid) if len(grid) == 2 else [None] * len(maps)
        return np.array([self.value(*one) for one in zip(maps, ground_truth.masks(grid), boxes, strict=True)])

    def ground_truth_of(self, start: int, stop: int) -> GroundTruth | None:
        """Return where the objects of these images are, as the user told this metric."""
        return None if self._ground_truth is None else self._ground_truth.part(start, stop)

    def batches(self, maps: np.ndarray) -> Iterator[Batch]:
        """Yield batches of the maps themselves, as many as there are objects."""
        if self._ground_truth is not None:
            self._ground_truth.require_count(len(maps))
        return super().batches(maps)


def share_within(heatmap: np.ndarray, mask: np.ndarray) -> float:
    """Return how much of what speaks for the class, the positive values, lies within a mask; NaN of none."""
    positive = np.maximum(heatmap, 0.0)
    total = positive.sum()
    return float(positive[mask].sum() / total) if total > 0 else float("nan")


def _unasked(images: Any) -> Any:
    raise AssertionError("A metric of maps asks no model.")
