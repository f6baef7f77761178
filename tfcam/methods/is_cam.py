"""IS-CAM."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfcam.methods.score_cam import ScoreCAM
from tfcam.ops.masks import along


class ISCAM(ScoreCAM):
    r"""What is the score of an image seen through a feature map, on average from dark to bright?

    .. math:: w = \mathrm{softmax}_k\Big(\frac{1}{n} \sum_{i=1}^{n} S\big(x \odot \tfrac{i}{n}\, n(U(A_k))\big)\Big),
              \qquad L = \mathrm{ReLU}\Big(\sum_k w_k A_k\Big)

    where :math:`U` resizes a feature map to the image and :math:`n` scales it from 0 to 1.
    Cost: one forward pass, and one more for each step of each channel.

    Parameters
    ----------
    steps : int
        How many steps the masks take from dark to bright.
    baseline : float, array (channels,), "mean", "blur" or callable
        What is seen where a mask is 0, as for `ScoreCAM`.

    Warnings
    --------
    Ten times the forward passes of Score-CAM.

    Notes
    -----
    Other code adds the steps up as it goes, so that its masks end far above 1, and the images brighter than any.

    References
    ----------
    Naidu et al., IS-CAM: Integrated Score-CAM for axiomatic-based explanations, 2020, arXiv:2010.03023.
    """

    name = "is-cam"
    question = "what is the score of an image seen through a feature map, on average from dark to bright?"
    cost = "one forward pass, and ten for each channel"
    paper = "Naidu et al., 2020"
    repeats = 10

    def __init__(self, *arguments: Any, steps: int = 10, **named: Any) -> None:
        if steps < 1:
            raise ValueError(f"steps={steps} are none: give at least 1.")
        self.repeats = steps
        super().__init__(*arguments, **named)

    def masks(self, features: tf.Tensor, indices: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
        """Return feature maps of the image's size, scaled from 0 to a step towards 1."""
        step = tf.cast(indices % self.repeats + 1, tf.float32) / self.repeats
        return along(step, (1,), images.shape.rank) * super().masks(features, indices, images)
