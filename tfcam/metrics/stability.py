"""Stability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from tfcam.metrics.base import Perturbation, PerturbedBatch, SimilarityMetric


class Stability(SimilarityMetric):
    r"""Does a little noise leave the map as it is?

    .. math:: \frac{1}{n} \sum_{i=1}^{n} \text{similarity}\big(L(x), L(x + \epsilon_i)\big)

    for the same class, with Gaussian noise.

    Parameters
    ----------
    level : float
        The standard deviation of the noise, as a share of the image's range.
    samples : int
    seed : int

    Warnings
    --------
    A map that does not depend on the image at all is the stablest: read it beside `ModelRandomization` and
    `RandomLogit`. Noise that a model was never trained with may change what it sees.

    References
    ----------
    Yeh et al., On the (in)fidelity and sensitivity of explanations, NeurIPS 2019, arXiv:1901.09392, which measures the
    largest change within a radius.
    """

    name = "stability"
    question = "does a little noise leave the map as it is?"
    higher_is_better = True
    cost = "one explanation for each of some noisy images"
    paper = "Yeh et al., NeurIPS 2019"

    def __init__(self, *arguments: Any, level: float = 0.05, samples: int = 5, seed: int = 0, **named: Any) -> None:
        super().__init__(*arguments, **named)
        if not level > 0 or samples < 1:
            raise ValueError(f"level must be above 0 and samples at least 1, got {level!r} and {samples!r}.")
        self._perturbations = [Noisy(level, seed, sample) for sample in range(samples)]

    def values(self, batch: PerturbedBatch) -> np.ndarray:
        """Return the mean similarity over the noisy images."""
        found = [self.alike(batch, batch.perturbed_heatmaps(perturbation)) for perturbation in self._perturbations]
        return np.mean(found, axis=0)


@dataclass(frozen=True)
class Noisy(Perturbation):
    """Images with noise, the same for each of them."""

    is_of_maps: ClassVar[bool] = False
    level: float
    seed: int
    sample: int

    def count(self, grid: tuple[int, ...]) -> int:
        """Return one."""
        return 1

    def variants(self, images: tf.Tensor, prepared: Any, numbers: tf.Tensor) -> tf.Tensor:
        """Return the noisy images."""
        within = list(range(1, images.shape.rank))
        spread = tf.reduce_max(images, within, keepdims=True) - tf.reduce_min(images, within, keepdims=True)
        noise = tf.random.stateless_normal(images.shape[1:], [self.seed, self.sample])
        return images + self.level * spread * noise
