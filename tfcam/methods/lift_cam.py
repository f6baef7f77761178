"""LIFT-CAM."""

from __future__ import annotations

import tensorflow as tf

from tfcam.engine import Run
from tfcam.graph.deeplift import multipliers
from tfcam.methods.base import Explainer, spatial_axes
from tfcam.ops.masks import folded


class LIFTCAM(Explainer):
    r"""What does each feature map add to the score, all others being there or not?

    .. math:: w_k = \sum_{ij} m_{ijk} A_{ijk}, \qquad \sum_k w_k = S(A) - S(0), \qquad
              L = \mathrm{ReLU}\Big(\sum_k w_k A_k\Big)

    where the multipliers :math:`m` are DeepLIFT's by the rescale rule, against activations of zero: an estimate of the
    channels' Shapley values.
    Cost: one forward pass, twice the head and once backwards; where the score is an affine function of the activations,
    one backward pass through the head.

    Warnings
    --------
    Zero is no activation at all behind a ReLU; where activations are partly negative it is one like any other.

    References
    ----------
    Jung and Oh, Towards better explanations of class activation mapping, ICCV 2021, arXiv:2102.05228; the rule:
    Shrikumar et al., Learning important features through propagating activation differences, ICML 2017,
    arXiv:1704.02685.
    """

    name = "lift-cam"
    family = "activation perturbation"
    question = "what does each feature map add to the score, all others being there or not?"
    cost = "one forward pass, twice the head and once backwards"
    cost_class = "few"
    paper = "Jung and Oh, ICCV 2021"
    sums_channels = True
    assumes_nonnegative = "to take a feature map away is to set it to zero"

    def maps(self, run: Run) -> list[tf.Tensor]:
        """Return the maps of each layer."""
        return [self._map(run, layer) for layer in range(len(run.activations))]

    def findings(self, run: Run) -> dict[str, tf.Tensor]:
        """Add contributions that are not those of the whole."""
        largest, missed = tf.reduce_max(tf.abs(run.scores())), []
        for layer in range(len(run.activations)):
            contributions, more = self._lifted(run, layer)
            added = tf.reduce_sum(contributions, axis=list(range(1, contributions.shape.rank)))
            missed.append(tf.abs(added - more) > 0.01 * (tf.abs(more) + largest))
        message = (
            "the channels do not add up to what the score is more than without them: behind this layer is an operation "
            "that DeepLIFT's rule is not for; take Ablation-CAM, or a layer further down"
        )
        return super().findings(run) | {message: tf.reduce_any(missed)}

    def contributions(self, run: Run, layer: int) -> tf.Tensor:
        """Return what each activation adds to the score, ``(N, *grid, K)``."""
        return self._lifted(run, layer)[0]

    def _map(self, run: Run, layer: int) -> tf.Tensor:
        contributions = self.contributions(run, layer)
        weights = tf.reduce_sum(contributions, spatial_axes(contributions), keepdims=True)
        return self.summed(weights * run.activations[layer])

    def _lifted(self, run: Run, layer: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the contributions, and what the score is more than without any activation, ``(N,)``."""
        return run.once((self, layer), lambda: self._lift(run, layer))

    def _lift(self, run: Run, layer: int) -> tuple[tf.Tensor, tf.Tensor]:
        activations = run.activations[layer]
        if run.is_affine(layer):
            contributions = run.gradients()[layer] * activations
            return contributions, tf.reduce_sum(contributions, axis=list(range(1, contributions.shape.rank)))
        pairs = folded(tf.stack([activations, tf.zeros_like(activations)], axis=1))
        scores = run.head(pairs, layer).scores()
        contributions = activations * multipliers(scores, pairs, tf.shape(activations)[0])[::2]
        return contributions, scores[::2] - scores[1::2]
