"""Faster-Score-CAM."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfcam.engine import Run
from tfcam.methods.score_cam import ScoreCAM
from tfcam.ops.pca import cells_of


class FasterScoreCAM(ScoreCAM):
    r"""What is the score of an image seen through one of the feature maps that vary most?

    .. math:: w = \mathrm{softmax}_{k \in K'}\big(S(x \odot n(U(A_k)))\big), \qquad
              L = \mathrm{ReLU}\Big(\sum_{k \in K'} w_k A_k\Big)

    where :math:`K'` are the channels of the largest variance over the cells, those of each image.
    Cost: one forward pass, and one more for each channel that is kept.

    Parameters
    ----------
    channels : int
        How many channels are kept.
    baseline : float, array (channels,), "mean", "blur" or callable
        What is seen where a mask is 0, as for `ScoreCAM`.

    Warnings
    --------
    Channels that vary most are not those that matter most to the class.

    References
    ----------
    The code of tabayashi0117, 2020, of which there is no paper; Score-CAM: Wang et al., CVPR Workshops 2020,
    arXiv:1910.01279v2.
    """

    name = "faster-score-cam"
    question = "what is the score of an image seen through one of the feature maps that vary most?"
    cost = "one forward pass, and one for each of ten channels"
    paper = "tabayashi0117, 2020 (code)"
    channels = 10

    def __init__(self, *arguments: Any, channels: int = 10, **named: Any) -> None:
        if channels < 1:
            raise ValueError(f"channels={channels} keeps none: give at least 1.")
        self.channels = channels
        super().__init__(*arguments, **named)

    def features(self, run: Run, layer: int) -> tf.Tensor:
        """Return the activations of the channels that vary most."""
        activations = super().features(run, layer)
        variance = tf.math.reduce_variance(cells_of(activations), axis=1)
        kept = tf.math.top_k(variance, tf.minimum(self.channels, tf.shape(variance)[-1])).indices
        return tf.gather(activations, kept, axis=-1, batch_dims=1)
