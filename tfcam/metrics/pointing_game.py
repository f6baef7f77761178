"""The pointing game."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.ndimage import distance_transform_edt

from tfcam.metrics.base import LocalisationMetric


class PointingGame(LocalisationMetric):
    r"""Is the map's highest value on the object?

    .. math:: \mathbb{1}\Big[\min_{p \in \text{mask}} \lVert \text{argmax}\, L - p \rVert \le \text{tolerance}\Big]

    1 if it lies on the object or at most `tolerance` pixels from it, else 0; the mean is the share of hits.

    Parameters
    ----------
    tolerance : float
        In pixels. The paper's 15 are of photographs of some 500 pixels; give less for small images.

    Notes
    -----
    Where several pixels share the highest value, the value is the share of them that hit: the order in which they are
    read does not matter. The paper averages the classes' shares, and leaves out images whose class fills more than a
    quarter of them as easy: choose those yourself.

    References
    ----------
    Zhang et al., Top-down neural attention by excitation backprop, ECCV 2016, arXiv:1608.00507.
    """

    name = "pointing-game"
    question = "is the map's highest value on the object?"
    paper = "Zhang et al., ECCV 2016"

    def __init__(self, *arguments: Any, tolerance: float = 15.0, **named: Any) -> None:
        super().__init__(*arguments, **named)
        if not tolerance >= 0:
            raise ValueError(f"tolerance={tolerance!r} must be a number of pixels, at least 0.")
        self.tolerance = tolerance

    def value(self, heatmap: np.ndarray, mask: np.ndarray, boxes: np.ndarray | None) -> float:
        """Return the share of the highest pixels that hit."""
        near = distance_transform_edt(~mask) <= self.tolerance
        return float(near[heatmap == heatmap.max()].mean())
