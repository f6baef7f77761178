"""FEM."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfcam.methods.base import DecompositionMethod, spatial_axes


class FEM(DecompositionMethod):
    r"""Where do the feature maps stand out from themselves, whatever the class?

    .. math:: M_k = [A_k \geq \mu_k + \kappa \sigma_k], \qquad L = \sum_k \mu_k M_k

    where :math:`\mu_k` and :math:`\sigma_k` are the mean and the standard deviation of a feature map.
    Cost: one forward pass.

    Parameters
    ----------
    kappa : float
        How many standard deviations above its mean a feature map stands out; on small grids few cells reach 2.

    Warnings
    --------
    It explains no class: a feature map counts by its mean, whatever the model made of it.

    Notes
    -----
    What pytorch-grad-cam calls FEM weights the feature maps themselves by the share of cells that stand out.

    References
    ----------
    Fuad et al., Features Understanding in 3D CNNs for Actions Recognition in Video, IPTA 2020.
    """

    name = "fem"
    question = "where do the feature maps stand out from themselves, whatever the class?"
    paper = "Fuad et al., IPTA 2020"
    assumes_nonnegative = "a feature map counts by its mean, which is then close to zero or below it"
    kappa = 2.0

    def __init__(self, *arguments: Any, kappa: float = 2.0, **named: Any) -> None:
        self.kappa = kappa
        super().__init__(*arguments, **named)

    def combine(self, activations: tf.Tensor) -> tf.Tensor:
        """Return how many feature maps stand out at each cell, each weighted by its mean."""
        grid = spatial_axes(activations)
        mean, deviation = (
            measure(activations, grid, keepdims=True) for measure in (tf.reduce_mean, tf.math.reduce_std)
        )
        # A feature map that is the same everywhere stands out nowhere.
        stands_out = (activations >= mean + self.kappa * deviation) & (deviation > 0.0)
        return tf.reduce_sum(tf.where(stands_out, mean, 0.0), axis=-1)
