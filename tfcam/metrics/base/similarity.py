"""The similarity of two maps of one image."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfcam.metrics.base.metric import constant_maps
from tfcam.ops.correlation import spearman
from tfcam.ops.normalize import unit_range

#: The sides of the window of the structural similarity.
_WINDOW = 11


def ssim(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the structural similarity of maps ``(N, H, W)``, each scaled from 0 to 1, with others, ``(N,)``."""
    if one.ndim != 3 or min(one.shape[1:]) < _WINDOW:
        raise ValueError(
            f"similarity='ssim' compares windows of {_WINDOW} x {_WINDOW} pixels, and the maps have the grid "
            f"{one.shape[1:]}: take 'spearman'."
        )
    scaled = (unit_range(tf.constant(maps, tf.float32))[..., None] for maps in (one, other))
    return np.asarray(tf.image.ssim(*scaled, max_val=1.0, filter_size=_WINDOW), np.float64)


def of_ranks(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the rank correlation of maps ``(N, *grid)`` with others, ``(N,)``, from -1 to 1."""
    return spearman(*(np.reshape(maps, (len(maps), -1)) for maps in (one, other)))


SIMILARITIES = {"spearman": of_ranks, "ssim": ssim}


def similarities(name: str, maps: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return how alike maps are to others, by name; 0 where either is the same everywhere, which says nothing."""
    empty = constant_maps(maps) | constant_maps(others)
    return np.where(empty, 0.0, SIMILARITIES[name](maps, others))


def require_similarity(name: str) -> None:
    """Refuse names of no similarity."""
    if name not in SIMILARITIES:
        raise ValueError(f"similarity={name!r} is none of {', '.join(map(repr, SIMILARITIES))}.")
