"""Opti-CAM."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfcam.engine import Run
from tfcam.methods.base import Explainer, spatial_axes
from tfcam.ops.loops import repeated
from tfcam.ops.masks import upsampled, weighted
from tfcam.ops.normalize import unit_range

#: Of Adam: how much of the mean gradient and of its mean square a step keeps, and what keeps it from dividing by 0.
_KEPT, _KEPT_SQUARE, _EPSILON = 0.9, 0.999, 1e-8
#: What a softmax makes nothing of.
_NO_WEIGHT = -1e9


class OptiCAM(Explainer):
    r"""Seen through which mixture of the feature maps is the image most of its class?

    .. math:: L = \sum_k w_k A_k, \qquad w = \mathrm{softmax}(u^*), \qquad
              u^* = \mathrm{argmax}_u\, S\Big(x \odot n\Big(U\Big(\sum_k \mathrm{softmax}(u)_k A_k\Big)\Big)\Big)

    where :math:`U` resizes a map to the image and :math:`n` scales it from 0 to 1; Adam climbs from equal weights.
    Cost: one forward pass, and one forward and backward for each step.

    Parameters
    ----------
    steps : int
        How many steps Adam takes.
    rate : float
        Its learning rate.

    Warnings
    --------
    What raises the score most is not what the model looked at: maps are broad, and the score of the masked image may be
    above that of the image itself. The climb magnifies rounding: an image alone and in a batch may get maps that differ
    by a few thousandths, or more after more steps.

    Notes
    -----
    The authors mask images before they are normalised; a model that normalises inside of itself is masked so here too.

    References
    ----------
    Zhang et al., Opti-CAM: Optimizing saliency maps for interpretability, CVIU 2024, arXiv:2301.07002.
    """

    name = "opti-cam"
    family = "input perturbation"
    question = "seen through which mixture of the feature maps is the image most of its class?"
    cost = "one forward pass, and 50 forward and backward"
    cost_class = "many"
    paper = "Zhang et al., CVIU 2024"
    steps, rate = 50, 0.1

    def __init__(self, *arguments: Any, steps: int = 50, rate: float = 0.1, **named: Any) -> None:
        if steps < 1 or rate <= 0:
            raise ValueError(f"steps must be at least 1 and rate above 0, got {steps} and {rate}.")
        self.steps, self.rate = steps, rate
        super().__init__(*arguments, **named)

    def maps(self, run: Run) -> list[tf.Tensor]:
        """Return the maps of each layer."""
        return [self._map(run, layer) for layer in range(len(run.activations))]

    def _map(self, run: Run, layer: int) -> tf.Tensor:
        activations, images = run.activations[layer], tf.cast(run.source(layer), tf.float32)

        def climb(step: tf.Tensor, state: list[tf.Tensor]) -> list[tf.Tensor]:
            u, mean, square = state
            with tf.GradientTape() as tape:
                tape.watch(u)
                mask = unit_range(upsampled(weighted(activations, tf.nn.softmax(u))[:, None], images)[:, 0])
                score = tf.reduce_sum(run.rerun(images * mask[..., None], layer).scores())
            gradient = tape.gradient(score, u)
            mean = _KEPT * mean + (1 - _KEPT) * gradient
            square = _KEPT_SQUARE * square + (1 - _KEPT_SQUARE) * gradient**2
            steps = tf.cast(step + 1, tf.float32)
            unbiased, spread = mean / (1 - _KEPT**steps), tf.sqrt(square / (1 - _KEPT_SQUARE**steps))
            return [u + self.rate * unbiased / (spread + _EPSILON), mean, square]

        # A channel that is zero everywhere has no gradient but rounding, which Adam would scale up.
        is_active = tf.reduce_any(activations != 0.0, axis=spatial_axes(activations))
        start = tf.where(is_active, 0.0, _NO_WEIGHT)
        u, *_ = repeated(climb, [start, tf.zeros_like(start), tf.zeros_like(start)], self.steps)
        return weighted(activations, tf.nn.softmax(u))
