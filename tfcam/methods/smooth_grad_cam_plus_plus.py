"""Smooth Grad-CAM++."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfcam.engine import Noise, Run
from tfcam.methods.base import GradientMethod, spatial_axes
from tfcam.ops.loops import in_turn

#: A denominator below this share of its first term has no weight: the terms cancel.
_CANCELLED = 1e-6
_COPIES = Noise(samples=8)


class SmoothGradCAMPlusPlus(GradientMethod):
    r"""Which regions raise the score, each of several objects counting as a single one, whatever the noise?

    .. math:: \alpha_{ijk} = \frac{D_1}{2 D_2 + D_3 \sum_{ab} A_{abk}}, \qquad
              w_k = \sum_{ij} \alpha_{ijk} \mathrm{ReLU}(D_1), \qquad L = \mathrm{ReLU}\Big(\sum_k w_k A_k\Big)

    where :math:`D_n` is the mean of the gradients' n-th powers at :math:`ijk` over noisy copies of the image, and A the
    activations of the image itself.
    Cost: a forward pass and one backward through the head for the image, and for each copy.

    Parameters
    ----------
    noise : tfcam.Noise
        How many copies, how much noise, and its seed.
    corrected : bool
        Whether the numerator of alpha is :math:`D_2`, as in Grad-CAM++ and in torch-cam, rather than :math:`D_1`, as
        the paper has it.

    Warnings
    --------
    With the paper's numerator the weights say little of how steep the score is, only of how steadily it is so. Noise
    that changes what the model predicts explains another image; the plain mean over noisy copies,
    ``GradCAMPlusPlus(model, smooth="noise")``, is easier to understand.

    References
    ----------
    Omeiza et al., Smooth Grad-CAM++: An Enhanced Inference Level Visualization Technique for Deep Convolutional Neural
    Network Models, 2019, arXiv:1908.01224.
    """

    name = "smooth-grad-cam-plus-plus"
    question = "which regions raise the score, each object counting as a single one, whatever the noise?"
    cost = "as many forward passes, and the head backwards, as there are noisy copies, and one"
    cost_class = "few"
    paper = "Omeiza et al., 2019"
    assumes_nonnegative = "the method's weights are derived for such as are not"

    def __init__(self, *arguments: Any, noise: Noise = _COPIES, corrected: bool = False, **named: Any) -> None:
        self.noise, self.corrected = noise, corrected
        super().__init__(*arguments, **named)

    def maps(self, run: Run) -> list[tf.Tensor]:
        """Return the maps of each layer."""
        samples = in_turn(
            lambda sample: self.noise.noisy(run, sample).gradients(),
            tf.range(self.noise.samples),
            [tf.float32 for _ in run.activations],
        )
        return [self.combine(a, g) for a, g in zip(run.activations, samples, strict=True)]

    def combine(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        """Return the maps from activations ``(N, *grid, K)`` and the copies' gradients ``(samples, N, *grid, K)``."""
        first, second, third = (tf.reduce_mean(gradients**power, axis=0) for power in (1, 2, 3))
        grid = spatial_axes(activations)
        denominator = 2.0 * second + tf.reduce_sum(activations, grid, keepdims=True) * third
        numerator = second if self.corrected else first
        alpha = tf.where(denominator > _CANCELLED * second, numerator / denominator, 0.0)
        weights = tf.reduce_sum(alpha * tf.nn.relu(first), grid, keepdims=True)
        return self.summed(weights * activations)
