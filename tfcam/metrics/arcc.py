"""ARCC."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfcam.metrics.base import HarmonicMean, PerturbedBatch
from tfcam.metrics.coherency import Coherency
from tfcam.metrics.complexity import Complexity
from tfcam.metrics.road import ROAD


class ARCC(HarmonicMean):
    r"""Is the map small, stable, and right about which pixels matter?

    .. math:: 3 \left( \frac{1}{\text{Coherency}} + \frac{1}{1 - \text{Complexity}} + \frac{1}{R} \right)^{-1},
        \quad R = \min(1, \max(0, 2 \, \text{ROAD}))

    of each image, and of it the mean. It needs what made the maps:
    ``ARCC(model, images, labels).evaluate(heatmaps, explainer)``.

    Parameters
    ----------
    percents : sequence of float, or float
    noise : float
    seed : int
        As for `ROAD`.

    Notes
    -----
    `ADCC` with ROAD in the place of the drop, which the brightest map wins. Where a map ranks pixels no better than the
    other way around, R and the whole are 0.

    References
    ----------
    Domeniconi et al., RefineCAM, 2026, arXiv:2605.14641.
    """

    name = "arcc"
    question = "is the map small, stable, and right about which pixels matter?"
    higher_is_better = True
    bounds = (0.0, 1.0)
    cost = "as ROAD, and one explanation"
    paper = "Domeniconi et al., 2026"
    needs_explainer = True

    def __init__(
        self, *arguments: Any, percents: Any = (20, 40, 60, 80), noise: float = 0.01, seed: int = 0, **named: Any
    ) -> None:
        super().__init__(*arguments, **named)
        shared = (self.scores, self.inputs, self.targets)
        self._coherency, self._complexity = Coherency(*shared), Complexity(*shared)
        self._road = ROAD(*shared, percents=percents, noise=noise, seed=seed)

    def parts(self, batch: PerturbedBatch) -> list[np.ndarray]:
        """Return the coherency, what the map leaves out, and twice ROAD."""
        return [
            self._coherency.values(batch),
            1.0 - self._complexity.values(batch),
            np.clip(2.0 * self._road.values(batch), 0.0, 1.0),
        ]
