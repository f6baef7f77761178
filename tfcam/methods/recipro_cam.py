"""Recipro-CAM."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfcam.methods.base import ActivationPerturbation
from tfcam.ops.resize import resize


class ReciproCAM(ActivationPerturbation):
    r"""What is the score when the head sees one cell of the layer alone?

    .. math:: L_{ij} = S(A \odot \delta_{ij}) - S(0)

    where :math:`\delta_{ij}` is 1 at a cell and 0 elsewhere.
    Cost: one forward pass and the head for each cell, no gradients; one backward pass through the head in their place
    where the score is an affine function of the activations.

    Parameters
    ----------
    gaussian : bool
        Whether the head sees the cells around as well, weighted by 1/4, 1/2, 1/4 along each axis.

    Warnings
    --------
    A head that was trained on whole grids may make anything of a single cell.

    Notes
    -----
    The paper scales the scores from their lowest to their highest. Here they are less the score of an empty grid, so
    that a cell that adds nothing is zero, and ``signed=True`` keeps those that take away.

    References
    ----------
    Byun and Lee, Recipro-CAM: Fast gradient-free visual explanations for convolutional neural networks, 2022,
    arXiv:2209.14074.
    """

    name = "recipro-cam"
    question = "what is the score when the head sees one cell alone?"
    cost = "one forward pass, the head for each cell"
    paper = "Byun and Lee, 2022"
    gaussian = False

    def __init__(self, *arguments: Any, gaussian: bool = False, **named: Any) -> None:
        self.gaussian = gaussian
        super().__init__(*arguments, **named)

    def count(self, features: tf.Tensor) -> tf.Tensor:
        """Return the number of cells, and one for none."""
        return tf.reduce_prod(tf.shape(features)[1:-1]) + 1

    def masks(self, activations: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
        """Return masks that keep one cell, and an empty one as the last."""
        grid = tf.unstack(tf.shape(activations)[1:-1], activations.shape.rank - 2)
        cells = tf.math.reduce_prod(grid)
        masks = tf.reshape(tf.one_hot(indices, cells), [-1, *grid])
        if self.gaussian:
            masks = resize(masks, grid, _neighbours)
        return masks[None, ..., None]

    def combine(self, features: tf.Tensor, scores: tf.Tensor, perturbed: tf.Tensor) -> tf.Tensor:
        """Return what each cell gives more than none."""
        given = perturbed[:, :-1] - perturbed[:, -1:]
        return tf.reshape(given, tf.shape(features)[:-1])


def _neighbours(size: tf.Tensor | int, _: tf.Tensor | int) -> tf.Tensor:
    """Return the matrix ``(size, size)`` that gives the cells next to a cell half of its weight, along one axis."""
    distance = tf.abs(tf.range(size)[:, None] - tf.range(size))
    return tf.gather([0.5, 0.25, 0.0], tf.minimum(distance, 2))
