"""Arrays at another grid, each pixel with the value of the nearest cell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def nearest(values: np.ndarray, grid: Sequence[int]) -> np.ndarray:
    """Return arrays ``(..., *cells)`` as ``(..., *grid)``: a mask stays one."""
    for axis, size in zip(range(-len(grid), 0), grid, strict=True):
        cells = ((np.arange(size) + 0.5) * values.shape[axis] / size).astype(int)
        values = np.take(values, cells, axis)
    return values
