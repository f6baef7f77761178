"""Grad-CAM element-wise."""

from __future__ import annotations

import tensorflow as tf

from tfcam.methods.base import ChannelSum


class GradCAMElementWise(ChannelSum):
    r"""Where is anything at all that speaks for the score?

    .. math:: L = \sum_k \mathrm{ReLU}\Big(\frac{\partial S}{\partial A_k} \odot A_k\Big)

    What speaks against the score in one channel takes nothing away from what speaks for it in another. Where the
    activations are never negative, it is LayerCAM's map.
    Cost: one forward pass, one backward pass through the head.

    Warnings
    --------
    A cell with much for and as much against the score is as bright as one that decided it: the map is broad.

    References
    ----------
    Pillai and Pirsiavash, Explainable Models with Consistent Interpretations, AAAI 2021.
    """

    name = "grad-cam-elementwise"
    question = "where is anything at all that speaks for the score?"
    paper = "Pillai and Pirsiavash, AAAI 2021"

    def contributions(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        """Return the positive part of gradient times activation."""
        return tf.nn.relu(gradients * activations)
