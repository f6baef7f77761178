"""Pearson and Spearman correlation of rows."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata


def pearson(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the correlation of each row of ``(N, n)`` with that of another, ``(N,)``; 0 where one has no variance."""
    one, other = (values - values.mean(axis=1, keepdims=True) for values in (one, other))
    together, apart = (one * other).sum(axis=1), (one**2).sum(axis=1) * (other**2).sum(axis=1)
    return np.divide(together, np.sqrt(apart), out=np.zeros(len(one)), where=apart > 0)


def spearman(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the correlation of the ranks of each row of ``(N, n)`` with those of another, ``(N,)``."""
    return pearson(rankdata(one, axis=1), rankdata(other, axis=1))
