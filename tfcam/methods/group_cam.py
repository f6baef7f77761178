"""Group-CAM."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfcam.engine import Run
from tfcam.methods.base import InputPerturbation, as_probability, spatial_axes
from tfcam.ops.masks import channels, upsampled, weighted
from tfcam.ops.normalize import unit_range


class GroupCAM(InputPerturbation):
    r"""How likely is the class where an image is sharp in what a group of feature maps shows, and blurred elsewhere?

    .. math:: M_l = \mathrm{ReLU}\Big(\sum_{k \in l} \bar g_k A_k\Big), \qquad m_l = n(U(M_l)), \qquad
              L = \sum_l \mathrm{ReLU}\big(p_c(x \odot m_l + \tilde x \odot (1 - m_l)) - p_c(\tilde x)\big)\, M_l

    where :math:`\bar g_k` is the mean gradient of the score, :math:`\tilde x` the image blurred, :math:`U` resizes a
    map to the image and :math:`n` scales it from 0 to 1; each group is a run of neighbouring channels.
    Cost: one forward pass, the head backwards, and one more forward pass for each group.

    Parameters
    ----------
    groups : int
        In how many the channels are divided.
    baseline : float, array (channels,), "mean", "blur" or callable
        What is seen where a mask is 0, in the units of the preprocessed image; ``"blur"``: the image blurred;
        ``"mean"``: its mean colour; a function gives images for images ``(N, *grid, channels)``.

    Warnings
    --------
    Which channels are neighbours is chance.

    References
    ----------
    Zhang et al., Group-CAM: Group score-weighted visual explanations for deep convolutional networks, 2021,
    arXiv:2103.13859.
    """

    name = "group-cam"
    question = "how likely is the class where an image is sharp in what a group of feature maps shows?"
    cost = "one forward pass, the head backwards, and one forward pass for each of 32 groups"
    paper = "Zhang et al., 2021"
    groups = 32
    baseline = "blur"

    def __init__(self, *arguments: Any, groups: int = 32, **named: Any) -> None:
        if groups < 1:
            raise ValueError(f"groups={groups} are none: give at least 1.")
        self.groups = groups
        super().__init__(*arguments, **named)

    def rescored(self, run: Run) -> Run:
        """Return the run of a classification with the probability for its score."""
        return as_probability(run)

    def features(self, run: Run, layer: int) -> tf.Tensor:
        """Return the map of each group, ``(N, *grid, groups)``."""
        activations, gradients = run.activations[layer], run.gradients()[layer]
        contributions = tf.reduce_mean(gradients, spatial_axes(gradients), keepdims=True) * activations
        number = tf.shape(activations)[-1]
        size = -(-number // tf.minimum(self.groups, number))
        groups = -(-number // size)
        padded = tf.pad(contributions, [*[[0, 0]] * (activations.shape.rank - 1), [0, groups * size - number]])
        each = tf.reshape(padded, tf.concat([tf.shape(activations)[:-1], [groups, size]], axis=0))
        return tf.nn.relu(tf.reduce_sum(each, axis=-1))

    def count(self, features: tf.Tensor) -> tf.Tensor:
        """Return the number of groups, and one for the blurred image."""
        return super().count(features) + 1

    def masks(self, features: tf.Tensor, indices: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
        """Return maps of the image's size, scaled from 0 to 1, and an empty one as the last."""
        maps = tf.pad(features, [*[[0, 0]] * (features.shape.rank - 1), [0, 1]])
        return unit_range(upsampled(channels(maps, indices), images), batch_axes=2)

    def combine(self, features: tf.Tensor, scores: tf.Tensor, perturbed: tf.Tensor) -> tf.Tensor:
        """Return the maps, weighted by what their masks add to the blurred image's score."""
        return weighted(features, tf.nn.relu(perturbed[:, :-1] - perturbed[:, -1:]))
