"""Finer-CAM."""

from __future__ import annotations

from typing import Any

from tfcam.engine import Run
from tfcam.methods.grad_cam import GradCAM
from tfcam.operators.contrast import Contrast


class FinerCAM(GradCAM):
    r"""Which regions tell the class from those most like it?

    .. math:: S = z_c - \gamma \frac{1}{T} \sum_d z_d, \qquad
              w_k = \frac{1}{Z} \sum_{ij} \frac{\partial S}{\partial A_{ijk}}, \qquad
              L = \mathrm{ReLU}\Big(\sum_k w_k A_k\Big)

    Grad-CAM of what sets a class apart: the classes d are the T whose logits are nearest to that of c. What all of them
    share, such as the body of a bird, goes dark; what decides stays. Any other method does the same with
    ``operator="contrast"``.
    Cost: one forward pass, one backward pass through the head.

    Parameters
    ----------
    strength : float
        Gamma; 0 is Grad-CAM.
    similar : int
        T.
    weighted : bool
        Whether the classes d count by their probability, as in the authors' code (where gamma is 1), rather than all
        alike.

    Warnings
    --------
    With few classes, those nearest may not be like the class at all. With a strength near 1, little may be left.

    References
    ----------
    Zhang et al., Finer-CAM: Spotting the Difference Reveals Finer Details for Visual Explanation, CVPR 2025,
    arXiv:2501.11309.
    """

    name = "finer-cam"
    question = "which regions tell the class from those most like it?"
    paper = "Zhang et al., CVPR 2025"
    needs_operator = "classification"

    def __init__(
        self, *arguments: Any, strength: float = 0.6, similar: int = 3, weighted: bool = False, **named: Any
    ) -> None:
        self.contrast = Contrast(strength, similar, weighted)
        super().__init__(*arguments, **named)

    def rescored(self, run: Run) -> Run:
        """Return the run with the contrast for its score."""
        self.contrast.check_outputs(run.outputs, run.model.name)
        return run.scored(lambda _: self.contrast.scores)
