"""Eigen-CAM."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfcam.methods.base import DecompositionMethod
from tfcam.ops.pca import first_component


class EigenCAM(DecompositionMethod):
    r"""What does the layer see most of, whatever the class?

    .. math:: X = U \Sigma V^T, \qquad L = X v_1

    where the rows of :math:`X` are the cells of the layer, its columns the channels, and :math:`v_1` is the first right
    singular vector. Its sign, which no decomposition tells, is the one with which :math:`L` has a product of at least 0
    with the sum of the channels: where no activation is negative, :math:`L` then is not either.
    Cost: one forward pass, and the eigenvectors of the smaller one of the two products of X with itself.

    Parameters
    ----------
    centred : bool
        Whether each channel's mean is subtracted first, as pytorch-grad-cam does and the paper does not.

    Warnings
    --------
    It explains no class, and nothing of what the model made of the layer: the map is the same for every target, and
    for a model whose head was never trained.

    References
    ----------
    Muhammad and Yeasin, Eigen-CAM: Class Activation Map using Principal Components, IJCNN 2020, arXiv:2008.00299.
    """

    name = "eigen-cam"
    question = "what does the layer see most of, whatever the class?"
    cost = "one forward pass, a small eigenproblem"
    paper = "Muhammad and Yeasin, IJCNN 2020"
    centred = False

    def __init__(self, *arguments: Any, centred: bool = False, **named: Any) -> None:
        self.centred = centred
        super().__init__(*arguments, **named)

    def combine(self, activations: tf.Tensor) -> tf.Tensor:
        """Return the projections of the cells on their first principal component."""
        return first_component(activations, centred=self.centred)
