"""HiResCAM."""

from __future__ import annotations

import tensorflow as tf

from tfcam.methods.base import ChannelSum


class HiResCAM(ChannelSum):
    r"""Which cells of the layer did the score come from, cell by cell?

    .. math:: L = \mathrm{ReLU}\Big(\sum_k \frac{\partial S}{\partial A_k} \odot A_k\Big)

    Each gradient stays where it is: nothing is averaged over the layer. Where one linear layer follows, with or without
    a pooling before it, the map before its ReLU adds up to the logit without its bias, and a cell that the score did
    not use stays dark. Behind a global average pooling and one Dense layer it is Grad-CAM's map.
    Cost: one forward pass, one backward pass through the head.

    Warnings
    --------
    Behind several layers the gradient says what a small change would do, not what a cell contributed, and the map is
    as ragged as the gradient is.

    References
    ----------
    Draelos and Carin, Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional neural networks,
    2020, arXiv:2011.08891.
    """

    name = "hires-cam"
    question = "which cells did the score come from, cell by cell?"
    paper = "Draelos and Carin, 2020"

    def contributions(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        """Return gradient times activation."""
        return gradients * activations
