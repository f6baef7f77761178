"""RandomCAM."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfcam.methods.base import DecompositionMethod


class RandomCAM(DecompositionMethod):
    r"""What would a map look like that knows nothing of the score?

    .. math:: L = \mathrm{ReLU}\Big(\sum_k w_k A_k\Big), \qquad w_k \sim U(-1, 1)

    The feature maps, weighted at random: the baseline that a method must beat. The weights are the same for every
    image, and for every model of as many channels.
    Cost: one forward pass.

    Parameters
    ----------
    seed : int

    Warnings
    --------
    It explains nothing. Its map is often on the object all the same, since that is where the activations are.

    References
    ----------
    Gildenblat and contributors, pytorch-grad-cam, 2021.
    """

    name = "random-cam"
    family = "baseline"
    question = "what would a map look like that knows nothing of the score?"
    paper = "Gildenblat et al., pytorch-grad-cam, 2021"
    sums_channels = True
    seed = 0

    def __init__(self, *arguments: Any, seed: int = 0, **named: Any) -> None:
        self.seed = seed
        super().__init__(*arguments, **named)

    def combine(self, activations: tf.Tensor) -> tf.Tensor:
        """Return the channels weighted at random."""
        weights = tf.random.stateless_uniform(activations.shape[-1:], [self.seed, 3], -1.0, 1.0)
        return self.summed(weights * activations)
