"""A perturbation that deletes random subsets of pixels, the same subsets for every image."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from tfcam.metrics.base.perturbed_batch import Perturbation, PerturbedBatch
from tfcam.ops.baselines import Baseline


@dataclass(frozen=True)
class RandomSubsets(Perturbation):
    """Each image without so many subsets of its cells.

    Attributes
    ----------
    samples : int
        The number of subsets.
    cells : int or None
        How many cells an image has along each axis; None: as many as pixels.
    share : float
        Which share of the cells a subset has.
    is_exact : bool
        Whether each subset has that many; otherwise each cell is in it with that probability.
    baseline : Baseline
        What is there in their place.
    seed : int
    """

    samples: int
    cells: int | None
    share: float
    is_exact: bool
    baseline: Baseline
    seed: int
    is_of_maps: ClassVar[bool] = False

    def count(self, grid: tuple[int, ...]) -> int:
        """Return the number of subsets."""
        return self.samples

    def sums(self, heatmaps: np.ndarray) -> np.ndarray:
        """Return what maps ``(N, *grid)`` sum up to in each subset, ``(N, samples)``."""
        drawn, cell_of = _membership(self, heatmaps.shape[1:])
        flat = heatmaps.reshape(len(heatmaps), -1).astype(np.float64)
        of_cells = np.stack([np.bincount(cell_of.ravel(), one, drawn.shape[1]) for one in flat])
        return of_cells @ drawn.T

    def prepared(self, batch: PerturbedBatch) -> Any:
        """Return the baselines."""
        return batch.baselines(self.baseline)

    def variants(self, images: tf.Tensor, prepared: Any, numbers: tf.Tensor) -> tf.Tensor:
        """Return the images without the subsets of these numbers."""
        drawn, cell_of = _membership(self, tuple(images.shape[1:-1]))
        gone = drawn[np.asarray(numbers)][:, cell_of]
        return tf.where(gone[..., None], prepared, images)


@lru_cache(maxsize=8)
def _membership(subsets: RandomSubsets, grid: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return whether each cell is in each subset, ``(samples, cells)``, and the cell of each pixel, ``(*grid)``."""
    # Cells are the nearest ones to the pixels' centres, as where TensorFlow enlarges an image by the nearest.
    along = [min(subsets.cells or size, size) for size in grid]
    places = [((np.arange(size) + 0.5) * cells / size).astype(int) for size, cells in zip(grid, along, strict=True)]
    cell_of = np.asarray(np.ravel_multi_index(np.meshgrid(*places, indexing="ij"), along))
    drawn = np.random.default_rng(subsets.seed).random((subsets.samples, int(np.prod(along))))
    if not subsets.is_exact:
        return drawn < subsets.share, cell_of
    size = max(1, round(subsets.share * drawn.shape[1]))
    lowest = np.argpartition(drawn, size - 1, axis=1)[:, :size]
    chosen = np.zeros(drawn.shape, bool)
    np.put_along_axis(chosen, lowest, True, axis=1)
    return chosen, cell_of
