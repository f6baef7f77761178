"""Score-CAM."""

from __future__ import annotations

import tensorflow as tf

from tfcam.methods.base import InputPerturbation
from tfcam.ops.masks import channels, upsampled, weighted
from tfcam.ops.normalize import unit_range


class ScoreCAM(InputPerturbation):
    r"""What is the score of an image seen through a feature map?

    .. math:: w = \mathrm{softmax}_k\big(S(x \odot n(U(A_k)))\big), \qquad L = \mathrm{ReLU}\Big(\sum_k w_k A_k\Big)

    where :math:`U` resizes a feature map to the image and :math:`n` scales it from 0 to 1.
    Cost: one forward pass, and one more for each channel.

    Parameters
    ----------
    baseline : float, array (channels,), "mean", "blur" or callable
        What is seen where a mask is 0, in the units of the preprocessed image: a value, one for each of its channels,
        the mean colour of the image, the image blurred, or what a function of images gives.

    Warnings
    --------
    As many forward passes as there are channels: minutes for an image of a large model. Logits differ by more than a
    few, so that the softmax leaves weight to few of the channels.

    Notes
    -----
    The paper takes the score of a baseline image from each score, which the softmax over the channels does not see. The
    authors' code weights by probabilities and has no such softmax, as the first version of the paper.

    References
    ----------
    Wang et al., Score-CAM: Score-weighted visual explanations for convolutional neural networks, CVPR Workshops 2020,
    arXiv:1910.01279v2.
    """

    name = "score-cam"
    question = "what is the score of an image seen through a feature map?"
    paper = "Wang et al., CVPR Workshops 2020"

    #: How many masks are made of each channel; its score is their mean.
    repeats = 1

    def count(self, features: tf.Tensor) -> tf.Tensor:
        """Return the number of masks of all channels."""
        return self.repeats * super().count(features)

    def masks(self, features: tf.Tensor, indices: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
        """Return feature maps of the image's size, scaled from 0 to 1."""
        return unit_range(upsampled(channels(features, indices // self.repeats), images), batch_axes=2)

    def combine(self, features: tf.Tensor, scores: tf.Tensor, perturbed: tf.Tensor) -> tf.Tensor:
        """Return the channels, weighted by the softmax of the scores of their masks."""
        each = tf.reshape(perturbed, [tf.shape(perturbed)[0], -1, self.repeats])
        return weighted(features, tf.nn.softmax(tf.reduce_mean(each, axis=-1)))
