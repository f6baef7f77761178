"""Attention rollout."""

from __future__ import annotations

import tensorflow as tf

from tfcam.engine.attentions import Attention
from tfcam.engine.token_weights import TokenWeights
from tfcam.methods.base import AttentionFlow


class AttentionRollout(AttentionFlow):
    r"""Which patches does what the model reads come from, attention by attention, whatever the class?

    .. math:: R = \prod_l \frac{1}{2} \Big(I + \frac{1}{H} \sum_h \alpha^l_h\Big), \qquad L = r^\top R

    where :math:`\alpha^l_h` is what head h of attention l gives, and r which tokens are read behind the last one: the
    class token, or all alike. Half of each token comes past an attention, by its skip connection.
    Rows of R sum to 1, so that the map, and the class token's share beside it, do.
    Cost: one forward pass; which tokens are read, a backward pass behind the last attention tells.

    Warnings
    --------
    It explains no class: the map is the same for all. It takes attention for what is passed on, whatever the values
    hold and the layers in between make of them, and after many attentions all tokens look alike.

    Notes
    -----
    The paper does not say how heads are put together; this is their mean, as in the authors' code.

    References
    ----------
    Abnar and Zuidema, Quantifying attention flow in transformers, ACL 2020, arXiv:2005.00928, equation 1.
    """

    name = "attention-rollout"
    question = "which patches does what the model reads come from, whatever the class?"
    cost = "one forward pass"
    cost_class = "forward"
    paper = "Abnar and Zuidema, ACL 2020"
    explains_scores = False
    has_own = True

    def mixture(self, attention: Attention) -> tf.Tensor:
        """Return the mean of the heads."""
        return tf.reduce_mean(attention.probabilities, axis=2)

    def before(self, read: TokenWeights, asked: TokenWeights, taken: TokenWeights) -> TokenWeights:
        """Return what is read, with what is taken in place of half of what each token that asks has."""
        return read.plus(asked.times(-0.5)).plus(taken.times(0.5))
