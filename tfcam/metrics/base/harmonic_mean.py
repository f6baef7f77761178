"""The base of metrics that are the harmonic mean of others."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from tfcam.metrics.base.metric import Metric
from tfcam.metrics.base.perturbed_batch import PerturbedBatch


class HarmonicMean(Metric):
    """A metric that is high where each of its parts is."""

    @abstractmethod
    def parts(self, batch: PerturbedBatch) -> list[np.ndarray]:
        """Return the parts, ``(N,)`` each, from 0 to 1."""

    def values(self, batch: PerturbedBatch) -> np.ndarray:
        """Return the harmonic mean of each map; 0 where a part is 0."""
        parts = np.stack(self.parts(batch))
        inverse = np.divide(1.0, parts, out=np.full(parts.shape, np.inf), where=parts > 0)
        return len(parts) / inverse.sum(axis=0)
