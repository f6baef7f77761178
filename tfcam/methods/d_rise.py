"""D-RISE."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfcam.methods.rise import RISE


class DRISE(RISE):
    r"""Seeing which places at random, with others, leaves the detection there?

    .. math:: H = \frac{1}{N p} \sum_{i=1}^{N} S'(x \odot M_i)\, M_i, \quad L = H - \min H, \quad
              S' = \max_j \mathrm{IoU}(b, b_j) \, \cos(p, p_j) \, o_j

    RISE of how similar the most similar prediction of each masked image is to the detection: of its box b and its class
    probabilities p, and how sure it is of an object, o. Detectors that do not tell that apart have their highest class
    probability for it.
    Cost: one forward pass for each mask. It needs no layer, and so explains any detector.

    Parameters
    ----------
    samples, cells, probability, seed, baseline
        As for `RISE`: 5,000 masks of 16 x 16 cells.

    Warnings
    --------
    Thousands of forward passes. H is the mean score and a little more or less, so that without its lowest value, as the
    authors show it, what is left is noisy where masks are few. ``RISE(model, operator="detection")`` takes the mean
    away from the scores.

    References
    ----------
    Petsiuk et al., Black-box Explanation of Object Detectors via Saliency Maps, CVPR 2021, arXiv:2006.03204,
    equations 2 to 5.
    """

    name = "d-rise"
    question = "seeing which places at random leaves the detection there?"
    cost = "one forward pass for each of 5,000 masks"
    paper = "Petsiuk et al., CVPR 2021"
    needs = "boxes"
    needs_operator = "detection"

    def __init__(self, *arguments: Any, samples: int = 5000, cells: int = 16, **named: Any) -> None:
        super().__init__(*arguments, samples=samples, cells=cells, **named)

    def combine(self, features: tf.Tensor, scores: tf.Tensor, perturbed: tf.Tensor) -> tf.Tensor:
        """Return the masks, weighted, without the lowest value of each map."""
        maps = super().combine(features, scores, perturbed)
        return maps - tf.reduce_min(maps, axis=list(range(1, maps.shape.rank)), keepdims=True)

    def weights(self, perturbed: tf.Tensor) -> tf.Tensor:
        """Return the scores that the masks leave."""
        return perturbed
