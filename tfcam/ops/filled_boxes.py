"""Boxes as masks, in NumPy."""

from __future__ import annotations

import numpy as np


def filled(boxes: np.ndarray, grid: tuple[int, ...]) -> np.ndarray:
    """Return as a mask the pixels whose middles lie in one of the boxes; of a smaller box, the one it begins in."""
    mask = np.zeros(grid, bool)
    for left, top, right, bottom in boxes:
        rows, columns = (slice(*_cells(low, high)) for low, high in ((top, bottom), (left, right)))
        mask[rows, columns] = True
    return mask


def _cells(low: float, high: float) -> tuple[int, int]:
    first, end = max(int(np.ceil(low - 0.5)), 0), int(np.ceil(high - 0.5))
    return (first, max(end, 0)) if end > first else (max(int(low), 0), max(int(low) + 1, 0))
