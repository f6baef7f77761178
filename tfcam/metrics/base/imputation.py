"""A perturbation that deletes pixels and fills them in from their neighbours by noisy linear imputation."""

from __future__ import annotations

import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import tensorflow as tf
from scipy import sparse
from scipy.sparse.linalg import splu

from tfcam.metrics.base.perturbed_batch import Perturbation, PerturbedBatch


@lru_cache(maxsize=8)
def laplacian(grid: tuple[int, ...]) -> Any:
    """Return the matrix ``(cells, cells)`` that makes zero of images each pixel of which is its neighbours' mean.

    Neighbours weigh 1 along an axis and half as much along each further one: in the middle of an image 1/6 those that
    share a side, 1/12 those that share a corner. At borders the weights of those that there are sum to 1.
    """
    cells = np.arange(np.prod(grid)).reshape(grid)
    rows, columns, weights = [], [], []
    for offset in itertools.product((-1, 0, 1), repeat=len(grid)):
        if any(offset):
            here = tuple(slice(max(0, -step), size - max(0, step)) for step, size in zip(offset, grid, strict=True))
            there = tuple(slice(max(0, step), size - max(0, -step)) for step, size in zip(offset, grid, strict=True))
            rows.append(cells[here].ravel())
            columns.append(cells[there].ravel())
            weights.append(np.full(cells[here].size, 2.0 ** -np.abs(offset).sum()))
    pairs = (np.concatenate(rows), np.concatenate(columns))
    adjacency = sparse.csr_matrix((np.concatenate(weights), pairs), shape=(cells.size, cells.size))
    return sparse.csr_matrix(sparse.diags(np.asarray(adjacency.sum(axis=1)).ravel()) - adjacency)


def imputed(image: np.ndarray, gone: np.ndarray) -> np.ndarray:
    """Return an image ``(*grid, channels)`` whose pixels that are gone, ``(*grid)``, are means of their neighbours.

    All at once: those neighbours that are gone too count with what is filled in.
    """
    out, left = np.flatnonzero(gone), np.flatnonzero(~gone)
    if not out.size:
        return image
    flat = image.reshape(gone.size, -1).astype(np.float64)
    equations = laplacian(gone.shape)[out]
    # The matrix is symmetric and dominated by its diagonal, so it needs no pivots.
    factors = splu(
        equations[:, out].tocsc(),
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    )
    flat[out] = factors.solve(-(equations[:, left] @ flat[left]))
    return flat.reshape(image.shape)


@dataclass(frozen=True)
class Imputation(Perturbation):
    """Each image without a share of its pixels, filled in from those around them.

    Attributes
    ----------
    percents : tuple of float
        The shares, one for each variant.
    most_relevant_first : bool
        Whether the pixels of the highest values go, otherwise those of the lowest.
    noise : float
        The standard deviation of what is added to what is filled in, over that of the image.
    seed : int
    """

    percents: tuple[float, ...]
    most_relevant_first: bool
    noise: float
    seed: int

    def count(self, grid: tuple[int, ...]) -> int:
        """Return the number of shares."""
        return len(self.percents)

    def prepared(self, batch: PerturbedBatch) -> Any:
        """Return the ranks of the pixels."""
        return batch.ranks(self.most_relevant_first)

    def variants(self, images: tf.Tensor, prepared: Any, numbers: tf.Tensor) -> tf.Tensor:
        """Return the images, imputed."""
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            each = zip(np.asarray(images), np.asarray(prepared), np.asarray(numbers), strict=True)
            return tf.constant(np.stack(list(pool.map(lambda one: self._imputed(*one), each))), tf.float32)

    def _imputed(self, image: np.ndarray, ranks: np.ndarray, number: int) -> np.ndarray:
        gone = ranks < round(self.percents[number] / 100.0 * ranks.size)
        drawn = np.random.default_rng([self.seed, int(number)]).standard_normal(image.shape)
        return imputed(image, gone) + self.noise * image.std() * drawn * gone[..., None]
