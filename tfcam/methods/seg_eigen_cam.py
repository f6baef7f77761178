"""Seg-Eigen-CAM."""

from __future__ import annotations

import tensorflow as tf

from tfcam.methods.base import GradientMethod
from tfcam.ops.pca import first_component


class SegEigenCAM(GradientMethod):
    r"""What is the main thing in the layer that the score depends on, for or against?

    .. math:: X = \Big|\frac{\partial S}{\partial A}\Big| \odot A, \qquad
              X - \bar X = U \Sigma V^T, \qquad L = \mathrm{ReLU}(\pm X v_1)

    The sign is the one with which the largest value of the map, of either sign, is positive. Made for segmentation,
    with ``operator="semantic segmentation"``; it works for any score.
    Cost: one forward pass, one backward pass through the head, and a small eigenproblem.

    Warnings
    --------
    The gradient's sign is dropped, so what speaks against the score is as bright as what speaks for it.

    References
    ----------
    Chung and Ying, Seg-Eigen-CAM, Applied Sciences 15(13), 7562, 2025, equations 10 to 13.
    """

    name = "seg-eigen-cam"
    question = "what is the main thing in the layer that the score depends on, for or against?"
    cost = "one forward pass, the head backwards, a small eigenproblem"
    paper = "Chung and Ying, Applied Sciences 2025"

    def combine(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        """Return the projections of the weighted activations, the largest of which is positive."""
        maps = first_component(tf.abs(gradients) * activations, centred=True)
        within = list(range(1, maps.shape.rank))
        highest, lowest = tf.reduce_max(maps, within, keepdims=True), tf.reduce_min(maps, within, keepdims=True)
        return tf.where(-lowest > highest, -maps, maps)
