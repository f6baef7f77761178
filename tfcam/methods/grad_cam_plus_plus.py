"""Grad-CAM++."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfcam.methods.base import ChannelWeighting, spatial_axes


class GradCAMPlusPlus(ChannelWeighting):
    r"""Which regions raise the score, if each of several objects is to count as much as a single one?

    .. math:: w_k = \sum_{ij} \frac{\mathrm{ReLU}(g_{ijk})}{2 + g_{ijk} \sum_{ab} A_{abk}}, \qquad
              g_{ijk} = \frac{\partial S}{\partial A_{ijk}}, \qquad
              L = \mathrm{ReLU}\Big(\sum_k w_k A_k\Big)

    A feature map that is active in few cells gets a higher weight than one that is active in many. The fraction is the
    paper's :math:`\alpha_{ijk} \mathrm{ReLU}(g_{ijk})`, of a score :math:`e^S` behind a head of linear pieces, reduced
    by :math:`g_{ijk}^2`: its denominator is never below 2, and needs no small constant.
    Cost: one forward pass, one backward pass through the head.

    Parameters
    ----------
    normalized : bool
        Whether each channel's :math:`\alpha` add up to 1 over the cells of positive gradient, as in the authors' code
        and not in the paper. Behind a global average pooling and one Dense layer it is then LayerCAM's map.

    Warnings
    --------
    Its weights are never negative, so it hardly tells the classes of one image apart. It is derived for heads of ReLUs
    and linear layers; and unlike Grad-CAM it changes with the scale of the score.

    Notes
    -----
    pytorch-grad-cam adds 1e-6 to the denominator before that reduction, where :math:`g^2` is often smaller, and so
    tends to :math:`\sum \mathrm{ReLU}(g) g^2`; tf-keras-vis makes each channel's :math:`\alpha` add up to 1, but
    over all cells; Xplique takes the mean of A for its sum.

    References
    ----------
    Chattopadhay et al., Grad-CAM++: Generalized Gradient-based Visual Explanations for Deep Convolutional Networks,
    WACV 2018, equation 19.
    """

    name = "grad-cam-plus-plus"
    question = "which regions raise the score, each of several objects counting as a single one?"
    paper = "Chattopadhay et al., WACV 2018"
    assumes_nonnegative = "the method's weights are derived for such as are not"
    normalized = False

    def __init__(self, *arguments: Any, normalized: bool = False, **named: Any) -> None:
        self.normalized = normalized
        super().__init__(*arguments, **named)

    def weights(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        """Return the sum of the positive gradients, each divided by what it is at a single active cell."""
        grid = spatial_axes(activations)
        denominator = 2.0 + tf.reduce_sum(activations, grid, keepdims=True) * gradients
        alpha = tf.where((denominator > 0.0) & (gradients > 0.0), 1.0 / denominator, 0.0)
        if self.normalized:
            alpha = tf.math.divide_no_nan(alpha, tf.reduce_sum(alpha, grid, keepdims=True))
        return tf.reduce_sum(alpha * tf.nn.relu(gradients), grid, keepdims=True)
