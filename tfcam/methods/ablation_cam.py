"""Ablation-CAM."""

from __future__ import annotations

import tensorflow as tf

from tfcam.methods.base import ActivationPerturbation
from tfcam.ops.masks import along, weighted


class AblationCAM(ActivationPerturbation):
    r"""How much of the score goes when a feature map is taken away?

    .. math:: w_k = S - S_{A_k := 0}, \qquad L = \mathrm{ReLU}\Big(\sum_k w_k A_k\Big)

    Cost: one forward pass and the head for each channel; one backward pass through the head in their place where the
    score is an affine function of the activations.

    Warnings
    --------
    Zero is no activation at all behind a ReLU; where activations are partly negative it is one like any other.

    Notes
    -----
    The paper divides the weights by the score, which turns every one of them around where the score is negative and
    means nothing where it is about zero. A logit may be either; the scale of a map is no matter, so it is left out.

    References
    ----------
    Desai and Ramaswamy, Ablation-CAM: Visual explanations for deep convolutional network via gradient-free
    localization, WACV 2020.
    """

    name = "ablation-cam"
    question = "how much of the score goes when a feature map is taken away?"
    paper = "Desai and Ramaswamy, WACV 2020"
    assumes_nonnegative = "to take a feature map away is to set it to zero"

    def masks(self, activations: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
        """Return masks that keep all channels but one."""
        rank = activations.shape.rank
        return along(1.0 - tf.one_hot(indices, activations.shape[-1]), (1, rank), rank + 1)

    def combine(self, features: tf.Tensor, scores: tf.Tensor, perturbed: tf.Tensor) -> tf.Tensor:
        """Return the channels, weighted by what the score loses without them."""
        return weighted(features, scores[:, None] - perturbed)
