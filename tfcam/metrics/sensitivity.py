"""Sensitivity."""

from __future__ import annotations

import numpy as np

from tfcam.metrics.base import AxiomMetric, PerturbedBatch


class Sensitivity(AxiomMetric):
    r"""Does each feature map weigh as much as the score loses without it?

    .. math:: \frac{\sum_k |S(A) - S(A_{k := 0}) - \sum_{ij} L_{ijk}|}{\sum_k |S(A) - S(A_{k := 0})|}

    where :math:`L_{ijk}` is what channel k contributes at a cell of the layer, and :math:`A_{k := 0}` is the
    layer's output with that channel at zero. 0 is best; a map of zeros has 1. Behind a global average pooling and one
    Dense layer it is 0 of Grad-CAM, HiResCAM and XGrad-CAM.

    Warnings
    --------
    The scale of the map counts, which no picture shows.

    References
    ----------
    Fu et al., Axiom-based Grad-CAM: Towards Accurate Visualization and Explanation of CNNs, BMVC 2020.
    """

    name = "sensitivity"
    question = "does each feature map weigh as much as the score loses without it?"
    cost = "one forward pass and the head for each channel, shared by all methods of a layer"
    paper = "Fu et al., BMVC 2020"

    def error(self, batch: PerturbedBatch, scores: np.ndarray, contributed: np.ndarray) -> np.ndarray:
        """Return how far the contributions are from the losses, over the losses."""
        losses = self.losses(batch)
        return np.abs(losses - contributed).sum(axis=1) / np.abs(losses).sum(axis=1)
