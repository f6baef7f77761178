"""ViT-CX."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from scipy.cluster.hierarchy import fcluster, linkage

from tfcam.engine import Run
from tfcam.methods.base import InputPerturbation, as_probability
from tfcam.ops.masks import channels, upsampled
from tfcam.ops.normalize import unit_range


class ViTCX(InputPerturbation):
    r"""Which groups of like feature maps, of a transformer's patches, are causes of the class?

    .. math:: s_i = p(x \odot M_i + \epsilon_i) - p(x + \epsilon_i) + p(x), \qquad
        L = \frac{\sum_i s_i M_i}{\sum_i M_i}, \qquad \epsilon_i \sim N(0, \sigma^2)\,(1 - M_i)

    where p is the probability of the class, and the masks :math:`M_i` are the means of feature maps that are alike, of
    patches as they enter the last attention, each from 0 to 1. Noise stands where a mask is dark, and what the noise
    alone does is taken off. The sum of the masks evens out how often a place is seen.
    Cost: one forward pass, and two for each group, of which there are fewer than channels: tens.

    Parameters
    ----------
    distance : float
        How far apart feature maps of one group may be at most, as 1 less the cosine.
    noise : float
        The standard deviation of the noise, as a share of that of the image.
    seed : int
        What the noise is drawn from.

    Warnings
    --------
    How many passes it takes depends on the image. A model that never saw noise may make anything of it.

    Notes
    -----
    The paper's noise is 0.1 on images of about unit deviation; here it follows the image, so that the preprocessing
    does not matter. Its masks are added up at the size of the image, ours at that of the grid. It takes any model.

    References
    ----------
    Xie et al., ViT-CX: causal explanation of vision transformers, IJCAI 2023, arXiv:2211.03064, equations 1 to 6.
    """

    name = "vit-cx"
    question = "which groups of like feature maps are causes of the class?"
    cost = "one forward pass, and two for each group of feature maps"
    paper = "Xie et al., IJCAI 2023"
    distance, noise, seed = 0.1, 0.1, 0

    def __init__(self, *arguments: Any, distance: float = 0.1, noise: float = 0.1, seed: int = 0, **named: Any) -> None:
        if not 0 <= distance <= 2 or noise < 0:
            raise ValueError(f"distance must be from 0 to 2, and noise at least 0, got {distance} and {noise}.")
        self.distance, self.noise, self.seed = distance, noise, seed
        super().__init__(*arguments, **named)

    def rescored(self, run: Run) -> Run:
        """Return the run of a classification with the probability for its score."""
        return as_probability(run)

    def features(self, run: Run, layer: int) -> tf.Tensor:
        """Return the mean of each group of feature maps, ``(N, *grid, groups)``; images of fewer have dark ones."""
        activations = run.activations[layer]
        grouped = tf.numpy_function(self._grouped, [unit_range(tf.stop_gradient(_first(activations)), 2)], tf.float32)
        grouped.set_shape((*activations.shape[:-1], None))
        return grouped

    def _grouped(self, maps: np.ndarray) -> np.ndarray:
        """Return the means of groups ``(N, *grid, groups)`` of maps ``(N, K, *grid)`` that are alike."""
        each = [_means(one.reshape(len(one), -1), self.distance) for one in maps]
        most = max(len(means) for means in each)
        padded = np.stack([np.pad(means, ((0, most - len(means)), (0, 0))) for means in each])
        return np.moveaxis(padded.reshape(len(maps), most, *maps.shape[2:]), 1, -1).astype("float32")

    def count(self, features: tf.Tensor) -> tf.Tensor:
        """Return two for each group: with its mask, and with the noise alone."""
        return 2 * super().count(features)

    def masks(self, features: tf.Tensor, indices: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
        """Return the means of groups at the image's size, scaled from 0 to 1."""
        return unit_range(upsampled(channels(features, indices), images), batch_axes=2)

    def perturbed(self, features: tf.Tensor, indices: tf.Tensor, images: tf.Tensor, unseen: Any) -> tf.Tensor:
        """Return noisy images, masked where they are of the first half of the numbers."""
        groups = tf.shape(features)[-1]
        masks = self.masks(features, indices % groups, images)[..., None]
        deviation = tf.math.reduce_std(images, axis=list(range(1, images.shape.rank)), keepdims=True)
        drawn = tf.map_fn(
            lambda number: tf.random.stateless_normal(tf.shape(images)[1:], [self.seed, number]),
            indices % groups,
            fn_output_signature=tf.float32,
        )
        noise = self.noise * deviation[:, None] * drawn[None] * (1.0 - masks)
        is_masked = tf.reshape(indices < groups, (1, -1, *[1] * (images.shape.rank - 1)))
        return tf.where(is_masked, images[:, None] * masks, images[:, None]) + noise

    def combine(self, features: tf.Tensor, scores: tf.Tensor, perturbed: tf.Tensor) -> tf.Tensor:
        """Return the groups, weighted by what they cause, over how often each place is seen."""
        masked, noisy = tf.split(perturbed, 2, axis=1)
        caused = masked - noisy + scores[:, None]
        total = tf.einsum("n...k,nk->n...", features, caused)
        return tf.math.divide_no_nan(total, tf.reduce_sum(features, axis=-1))


def _first(activations: tf.Tensor) -> tf.Tensor:
    """Return ``(N, *grid, K)`` as ``(N, K, *grid)``."""
    last = activations.shape.rank - 1
    return tf.transpose(activations, [0, last, *range(1, last)])


def _means(maps: np.ndarray, distance: float) -> np.ndarray:
    """Return the means ``(groups, cells)`` of maps ``(K, cells)`` that are at most so far apart; dark ones are none."""
    maps = maps[maps.max(axis=1) > 0]
    if len(maps) < 2:
        return maps
    numbers = fcluster(linkage(maps, "complete", "cosine"), distance, "distance")
    # In the order of their first maps, so that the noise of each is the same whatever the clustering counts first.
    _, first = np.unique(numbers, return_index=True)
    return np.stack([maps[numbers == numbers[one]].mean(axis=0) for one in np.sort(first)])
