"""Grad-ECLIP."""

from __future__ import annotations

import tensorflow as tf

from tfcam.engine.attentions import Attention
from tfcam.methods.base import AttentionSum


class GradECLIP(AttentionSum):
    r"""Which patches made this image match this text, or this class, by what the last attention could take from them?

    .. math:: L_p = \mathrm{ReLU}\Big(\lambda_p \sum_c \frac{\partial S}{\partial o_c} v_{pc}\Big), \qquad
        \lambda_p = \frac{\cos(q, k_p) - \min_j \cos(q, k_j)}{\max_j \cos(q, k_j) - \min_j \cos(q, k_j)}

    where o is what the last attention gives the token that is read, q its query, and k and v the keys and values of
    the patches, of all heads. The softmax of the attention leaves few patches anything; :math:`\lambda` stands in its
    place. The sum over c is :math:`\sum_h \partial S / \partial \alpha_h`, the gradient for the probabilities.
    The score of an image and a text is an operator, as the docs' page of transformers shows.
    Cost: one forward pass, the last block backwards.

    Warnings
    --------
    It sees the last attention alone: what earlier ones carried to other patches is shown there.

    Notes
    -----
    Where all tokens are read alike, the map is the mean of those of all queries; the paper has class tokens.

    References
    ----------
    Zhao, Wang, Zeng, Zhao and Chan, Gradient-based visual explanation for transformer-based CLIP, ICML 2024,
    equations 6 to 9.
    """

    name = "grad-eclip"
    question = "which patches made this image match this text, by what the last attention could take?"
    cost = "one forward pass, the last block backwards"
    paper = "Zhao et al., ICML 2024"

    def chosen(self, attentions: list[Attention]) -> list[Attention]:
        """Return the last attention."""
        return attentions[-1:]

    def combine(self, attention: Attention, rows: tf.Tensor) -> tf.Tensor:
        """Return gradients times how alike query and key are, of the rows that are read."""
        contributions = _scaled(attention) * tf.reduce_sum(attention.gradients, axis=2)
        return tf.einsum("nwq,nwqk->nwk", rows, contributions)


def _scaled(attention: Attention) -> tf.Tensor:
    """Return how alike query and key are, from 0 to 1 over the patches that a query may attend to."""
    cosines, patches = attention.cosines, attention.keys.numbers[:, None, :] >= attention.keys.others
    lowest = tf.reduce_min(tf.where(patches, cosines, float("inf")), axis=-1, keepdims=True)
    highest = tf.reduce_max(tf.where(patches, cosines, -float("inf")), axis=-1, keepdims=True)
    return tf.where(patches, tf.math.divide_no_nan(cosines - lowest, highest - lowest), 0.0)
