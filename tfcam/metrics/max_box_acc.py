"""MaxBoxAcc."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.ndimage import find_objects, label

from tfcam.metrics.base import LocalisationMetric, PerturbedBatch


class MaxBoxAcc(LocalisationMetric):
    r"""Is the box around what the map shows the object's box?

    .. math:: \max_t \frac{1}{N} \sum_n \mathbb{1}\Big[\mathrm{IoU}\big(\text{box}(s_n \ge t),\, B_n\big) \ge \delta
              \Big]

    where s is the map scaled from its lowest value at 0 to its highest at 1, and the box that around the largest
    connected part of what is above the threshold t, which is the best one for all images together: the value of a map
    is whether it hits at that threshold. The best of an image's boxes counts.

    Parameters
    ----------
    overlap : float or sequence of float
        δ; of several, the mean. (0.3, 0.5, 0.7) with ``parts="all"`` is MaxBoxAccV2.
    parts : {"largest", "all"}
        Whether the box is that of the largest part, or the best of those of all parts.
    thresholds : int or sequence of float
        How many thresholds from 0 to 1 are tried, or which. Of a single one nothing is chosen.

    Warnings
    --------
    The best threshold is chosen on the very images that are measured, so that the value is a little too good for other
    images; for a fair figure find it on images that are held out, and give it as ``thresholds=[t]``.

    Notes
    -----
    The authors' code rounds the map to 256 levels and includes both ends in a box's sizes; here neither.

    References
    ----------
    Choe et al., Evaluating weakly supervised object localization methods right, CVPR 2020, arXiv:2001.07437.
    """

    name = "max-box-acc"
    question = "is the box around what the map shows the object's box?"
    paper = "Choe et al., CVPR 2020"

    def __init__(
        self,
        *arguments: Any,
        overlap: float | Sequence[float] = 0.5,
        parts: str = "largest",
        thresholds: int | Sequence[float] = 100,
        **named: Any,
    ) -> None:
        super().__init__(*arguments, **named)
        self.overlaps = np.atleast_1d(np.asarray(overlap, np.float64))
        if parts not in ("largest", "all"):
            raise ValueError(f"parts={parts!r} is neither 'largest' nor 'all'.")
        tried = np.arange(thresholds) / thresholds if isinstance(thresholds, int) and thresholds > 0 else thresholds
        self.parts, self.thresholds = parts, np.atleast_1d(np.asarray(tried, np.float64))
        for name, shares in (("overlap", self.overlaps), ("thresholds", self.thresholds)):
            if not shares.size or not ((shares >= 0) & (shares <= 1)).all():
                raise ValueError(f"{name}={shares.tolist()} must be shares from 0 to 1.")

    def values(self, batch: PerturbedBatch) -> np.ndarray:
        """Return whether each map hits, ``(N, thresholds, overlaps)``."""
        if batch.heatmaps.shape.rank != 3:
            raise ValueError("MaxBoxAcc is of maps of two dimensions: take RelevanceRankAccuracy for others.")
        return super().values(batch)

    def value(self, heatmap: np.ndarray, mask: np.ndarray, boxes: np.ndarray | None) -> np.ndarray:
        """Return whether a map hits, ``(thresholds, overlaps)``."""
        height = heatmap.max() - heatmap.min()
        if height == 0 or boxes is None:
            return np.full((len(self.thresholds), len(self.overlaps)), np.nan)
        scaled = (heatmap - heatmap.min()) / height
        found = [self._found(scaled > min(threshold, 1 - 1e-9)) for threshold in self.thresholds]
        best = np.array([_overlaps(each, boxes).max() for each in found])
        return (best[:, None] >= self.overlaps).astype(np.float64)

    def settled(self, values: np.ndarray) -> np.ndarray:
        """Return the mean over the overlaps of whether each map hits, at the best threshold of each."""
        told = values[~np.isnan(values).any(axis=(1, 2))]
        if not len(told):
            return np.full(len(values), np.nan)
        best = told.mean(axis=0).argmax(axis=0)
        return np.asarray(values[:, best, np.arange(len(best))].mean(axis=1))

    def _found(self, shown: np.ndarray) -> np.ndarray:
        """Return the boxes ``(k, 4)`` of the connected parts of what is shown."""
        parts, count = label(shown, np.ones((3, 3)))
        slices = find_objects(parts)
        if self.parts == "largest":
            slices = [slices[np.bincount(parts.ravel(), minlength=count + 1)[1:].argmax()]]
        return np.array([(across.start, down.start, across.stop, down.stop) for down, across in slices], np.float64)


def _overlaps(found: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return the intersection over union of each box with each, ``(k, boxes)``."""
    one, other = found[:, None], boxes[None]
    sides = np.minimum(one[..., 2:], other[..., 2:]) - np.maximum(one[..., :2], other[..., :2])
    shared = np.maximum(sides, 0).prod(axis=-1)
    areas = [(each[..., 2:] - each[..., :2]).prod(axis=-1) for each in (one, other)]
    return np.asarray(shared / (areas[0] + areas[1] - shared))
