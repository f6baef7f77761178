"""Complexity."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfcam.answers import Answers
from tfcam.masking import minmax
from tfcam.metric import Metric, constant_maps
from tfcam.progress import Report


class Complexity(Metric):
    r"""How much of the image does the map show?

    .. math:: \frac{\lVert L \rVert_1}{h w}

    with the map scaled to [0, 1]: its mean. The model is not asked: ``Complexity().evaluate(heatmaps)``.

    Notes
    -----
    Xplique's Complexity is another thing, the entropy of the map.

    References
    ----------
    Poppi et al., Revisiting the evaluation of class activation mapping for explainability, CVPR Workshops 2021,
    arXiv:2104.10252.
    """

    name = "complexity"
    question = "how much of the image does the map show?"
    higher_is_better = False
    bounds = (0.0, 1.0)
    cost = "nothing"
    paper = "Poppi et al., CVPR Workshops 2021"

    def __init__(self, model: Any = None, inputs: Any = None, *arguments: Any, **named: Any) -> None:
        super().__init__(_unasked if model is None else model, inputs, *arguments, **named)

    def per_sample(self, heatmaps: Any, explainer: Any = None, *, progress: bool | Report = False) -> np.ndarray:
        """Return the value of each map, ``(N,)``; of maps of any size."""
        maps = self._checked(heatmaps)
        return np.where(constant_maps(maps), np.nan, _mean(maps))

    def values(self, answers: Answers) -> np.ndarray:
        """Return the mean of each map, scaled."""
        return _mean(answers.heatmaps)


def _mean(maps: Any) -> np.ndarray:
    masks = np.asarray(minmax(tf.convert_to_tensor(maps)), np.float64)
    return masks.mean(axis=tuple(range(1, masks.ndim)))


def _unasked(images: Any) -> Any:
    raise AssertionError("The complexity of a map asks no model.")
