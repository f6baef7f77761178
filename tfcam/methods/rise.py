"""RISE."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfcam.engine import Run
from tfcam.methods.base import InputPerturbation, as_probability
from tfcam.methods.base.perturbation import chunk_size
from tfcam.ops.loops import summed_in_turn
from tfcam.ops.resize import bilinear_matrix


class RISE(InputPerturbation):
    r"""Seeing which places at random, with others, makes the class likely?

    .. math:: L = \frac{1}{N p} \sum_{i=1}^{N} \big(p_c(x \odot M_i) - \bar p_c\big)\, M_i

    where the masks :math:`M_i` are grids of cells that are 1 with probability p and 0 otherwise, enlarged to more than
    the image and cut out of it at a random place, and :math:`\bar p_c` is the mean over them.
    Cost: one forward pass for each mask. It needs no layer, and so explains any model.

    Parameters
    ----------
    samples : int
        The number N of masks.
    cells : int
        How many cells a mask has along each axis.
    probability : float
        That a cell is seen.
    seed : int
    baseline : float, array (channels,), "mean", "blur" or callable
        What is seen where a mask is 0, as for `ScoreCAM`.

    Warnings
    --------
    Thousands of forward passes. The masks are drawn: another seed gives another map, the closer the more masks there
    are.

    Notes
    -----
    The paper's map is this and the mean score at every place, which says nothing of where.

    References
    ----------
    Petsiuk et al., RISE: Randomized input sampling for explanation of black-box models, BMVC 2018, arXiv:1806.07421.
    """

    name = "rise"
    question = "seeing which places at random makes the class likely?"
    cost = "one forward pass for each of 4,000 masks"
    paper = "Petsiuk et al., BMVC 2018"
    default_layers = "input"
    samples, cells, probability, seed = 4000, 7, 0.5, 0

    def __init__(
        self,
        *arguments: Any,
        samples: int = 4000,
        cells: int = 7,
        probability: float = 0.5,
        seed: int = 0,
        **named: Any,
    ) -> None:
        if samples < 1 or cells < 1 or not 0 < probability < 1:
            raise ValueError(
                f"samples and cells must be at least 1 and probability between 0 and 1, got {samples}, {cells} and "
                f"{probability}."
            )
        self.samples, self.cells, self.probability, self.seed = samples, cells, probability, seed
        super().__init__(*arguments, **named)

    def rescored(self, run: Run) -> Run:
        """Return the run of a classification with the probability for its score."""
        return as_probability(run)

    def features(self, run: Run, layer: int) -> tf.Tensor:
        """Return the images."""
        return tf.cast(run.source(layer), tf.float32)

    def count(self, features: tf.Tensor) -> tf.Tensor:
        """Return the number of masks."""
        return tf.constant(self.samples)

    def masks(self, features: tf.Tensor, indices: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
        """Return the masks of these numbers, the same for each image."""
        axes = images.shape.rank - 2
        drawn = tf.random.stateless_uniform([self.samples, *[self.cells] * axes], [self.seed, 0])
        places = tf.random.stateless_uniform([self.samples, axes], [self.seed, 1])
        masks = tf.cast(tf.gather(drawn, indices) < self.probability, tf.float32)
        for axis, size in enumerate(tf.unstack(tf.shape(images)[1:-1], axes)):
            step = -(-size // self.cells)
            enlarged = bilinear_matrix(self.cells, (self.cells + 1) * step)
            first = tf.cast(tf.gather(places[:, axis], indices) * tf.cast(step, tf.float32), tf.int32)
            cut = tf.gather(enlarged, first[:, None] + tf.range(size))
            # The axis just enlarged goes last, so the next one is always axis 1, and in the end the order is as before.
            masks = tf.einsum("cas,cs...->c...a", cut, masks)
        return masks[None]

    def weights(self, perturbed: tf.Tensor) -> tf.Tensor:
        """Return the weights of the masks, ``(N, samples)``, from the scores that they leave."""
        return perturbed - tf.reduce_mean(perturbed, axis=1, keepdims=True)

    def combine(self, features: tf.Tensor, scores: tf.Tensor, perturbed: tf.Tensor) -> tf.Tensor:
        """Return the masks, weighted."""
        weights = self.weights(perturbed)
        grid = tf.shape(features)[:-1]
        chunk = chunk_size(self.samples, tf.reduce_prod(tf.cast(grid[1:], tf.int64)))
        padded = tf.pad(weights, [[0, 0], [0, chunk]])

        def part(start: tf.Tensor) -> tf.Tensor:
            masks = self.masks(features, tf.range(start, start + chunk) % self.samples, features)
            return tf.einsum("nc,c...->n...", padded[:, start : start + chunk], masks[0])

        total = summed_in_turn(part, tf.range(0, self.samples, chunk), tf.zeros(grid))
        return total / (self.samples * self.probability)
