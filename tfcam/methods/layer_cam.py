"""LayerCAM."""

from __future__ import annotations

import tensorflow as tf

from tfcam.methods.base import ChannelSum


class LayerCAM(ChannelSum):
    r"""Which fine details speak for the score, at any depth of the model?

    .. math:: L = \mathrm{ReLU}\Big(\sum_k \mathrm{ReLU}\Big(\frac{\partial S}{\partial A_k}\Big) \odot A_k\Big)

    A cell counts by its own gradient where that is positive, so that maps of early layers, with their fine grids,
    stay readable. Behind a global average pooling and one Dense layer it is the map of the positive weights. The maps
    of several layers are fused as equation 9 has it, ``fuse="max"``.
    Cost: one forward pass, one backward pass through the head.

    Warnings
    --------
    What speaks against the score is left out before the sum, so the map shows more than what decided. Right before a
    layer with strides or a maximum, the gradient is zero on most cells and the map shows their grid: take the layer
    behind.

    References
    ----------
    Jiang et al., LayerCAM: Exploring Hierarchical Class Activation Maps for Localization,
    IEEE Transactions on Image Processing 30, 2021, equations 6 to 9.
    """

    name = "layer-cam"
    question = "which fine details speak for the score, at any depth?"
    paper = "Jiang et al., TIP 2021"
    fusion = "max"
    assumes_nonnegative = "a positive gradient there speaks against the score, not for it"

    def contributions(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        """Return the activations weighted by their own positive gradients."""
        return tf.nn.relu(gradients) * activations
