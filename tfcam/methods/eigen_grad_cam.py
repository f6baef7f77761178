"""EigenGrad-CAM."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfcam.methods.base import GradientMethod
from tfcam.ops.pca import first_component


class EigenGradCAM(GradientMethod):
    r"""What is the main thing in the layer that moves the score?

    .. math:: X = \frac{\partial S}{\partial A} \odot A = U \Sigma V^T, \qquad L = \mathrm{ReLU}(X v_1)

    Eigen-CAM of what the channels contribute: less ragged than their sum, HiResCAM's map, as one pattern of channels is
    kept. The sign of :math:`v_1` is the one with which the map has a product of at least 0 with that sum.
    Cost: one forward pass, one backward pass through the head, and a small eigenproblem.

    Parameters
    ----------
    centred : bool
        Whether each channel's mean is subtracted first, as pytorch-grad-cam does.

    Warnings
    --------
    The pattern that varies most need not be the one that decided. Where it speaks against the score, the map is dark,
    and ``signed=True`` shows it.

    Notes
    -----
    pytorch-grad-cam, where it comes from, leaves the sign to the decomposition, so its maps may be inverted.

    References
    ----------
    Gildenblat and contributors, pytorch-grad-cam, 2021; after Muhammad and Yeasin, Eigen-CAM, IJCNN 2020.
    """

    name = "eigen-grad-cam"
    question = "what is the main thing in the layer that moves the score?"
    cost = "one forward pass, the head backwards, a small eigenproblem"
    paper = "Gildenblat et al., pytorch-grad-cam, 2021"

    centred = False

    def __init__(self, *arguments: Any, centred: bool = False, **named: Any) -> None:
        self.centred = centred
        super().__init__(*arguments, **named)

    def combine(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        """Return the projections of gradient times activation on their first principal component."""
        return first_component(gradients * activations, centred=self.centred)
