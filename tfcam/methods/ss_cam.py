"""SS-CAM."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfcam.methods.score_cam import ScoreCAM
from tfcam.ops.masks import channels, upsampled
from tfcam.ops.normalize import unit_range


class SSCAM(ScoreCAM):
    r"""What is the score of an image seen through a feature map, on average over its noise?

    .. math:: w = \mathrm{softmax}_k\Big(\frac{1}{n} \sum_i S(x \odot n(U(A_k + \delta_i)))\Big), \qquad
              L = \mathrm{ReLU}\Big(\sum_k w_k A_k\Big)

    where :math:`\delta_i` is Gaussian noise, :math:`U` resizes a feature map to the image and :math:`n` scales it from
    0 to 1.
    Cost: one forward pass, and one more for each sample of each channel.

    Parameters
    ----------
    samples : int
        How often the noise is drawn.
    level : float
        Its standard deviation, as a share of the range of each feature map.
    seed : int
    baseline : float, array (channels,), "mean", "blur" or callable
        What is seen where a mask is 0, as for `ScoreCAM`.

    Warnings
    --------
    Ten times the forward passes of Score-CAM.

    Notes
    -----
    This is the paper's smoothing of feature maps. Its noise has the standard deviation 2 whatever the activations are;
    those of models differ, so here it is a share of their range.

    References
    ----------
    Wang et al., SS-CAM: Smoothed Score-CAM for sharper visual feature localization, 2020, arXiv:2006.14255.
    """

    name = "ss-cam"
    question = "what is the score of an image seen through a feature map, on average over its noise?"
    cost = "one forward pass, and ten for each channel"
    paper = "Wang et al., 2020"
    repeats, level, seed = 10, 0.15, 0

    def __init__(self, *arguments: Any, samples: int = 10, level: float = 0.15, seed: int = 0, **named: Any) -> None:
        if samples < 1 or level < 0:
            raise ValueError(f"samples must be at least 1 and level at least 0, got {samples} and {level}.")
        self.repeats, self.level, self.seed = samples, level, seed
        super().__init__(*arguments, **named)

    def masks(self, features: tf.Tensor, indices: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
        """Return noisy feature maps of the image's size, scaled from 0 to 1."""
        maps = channels(features, indices // self.repeats)
        within = list(range(2, maps.shape.rank))
        spread = tf.reduce_max(maps, within, keepdims=True) - tf.reduce_min(maps, within, keepdims=True)
        # The same for each image and channel, so that a map does not depend on its batch mates.
        noise = tf.random.stateless_normal(
            tf.concat([[self.repeats], tf.shape(maps)[2:]], axis=0), tf.stack([self.seed, 0])
        )
        noisy_maps = maps + self.level * spread * tf.gather(noise, indices % self.repeats)
        return unit_range(upsampled(noisy_maps, images), batch_axes=2)
