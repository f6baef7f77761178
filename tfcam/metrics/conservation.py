"""Conservation."""

from __future__ import annotations

import numpy as np

from tfcam.metrics.base import AxiomMetric, PerturbedBatch


class Conservation(AxiomMetric):
    r"""Do the cells of the map add up to the score?

    .. math:: \frac{|S - \sum_k \sum_{ij} L_{ijk}|}{|S|}

    where :math:`L_{ijk}` is what channel k contributes at a cell of the layer. XGrad-CAM and HiResCAM distribute
    gradient times activation: of a network of ReLUs their error is exactly what the score owes biases behind the layer,
    and all else that comes around it, over the score (`tfcam.verify_conservation`).

    Warnings
    --------
    A score near zero makes any error large: medians tell more than means. The scale of the map counts, which no picture
    shows.

    References
    ----------
    Fu et al., Axiom-based Grad-CAM: Towards Accurate Visualization and Explanation of CNNs, BMVC 2020.
    """

    name = "conservation"
    question = "do the cells of the map add up to the score?"
    cost = "one forward pass and one backward pass through the head"
    paper = "Fu et al., BMVC 2020"

    def error(self, batch: PerturbedBatch, scores: np.ndarray, contributed: np.ndarray) -> np.ndarray:
        """Return what the contributions lack of the scores, over the scores."""
        return np.abs(scores - contributed.sum(axis=1)) / np.abs(scores)
