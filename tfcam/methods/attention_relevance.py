"""Generic attention relevance."""

from __future__ import annotations

import tensorflow as tf

from tfcam.engine.attentions import Attention
from tfcam.engine.token_weights import TokenWeights
from tfcam.methods.base import AttentionFlow


class AttentionRelevance(AttentionFlow):
    r"""How did the evidence for the class go from the patches, through all attentions, to where the model reads it?

    .. math:: \bar{A}^l = \frac{1}{H} \sum_h \mathrm{ReLU}\Big(\frac{\partial S}{\partial \alpha^l_h} \odot
        \alpha^l_h\Big), \qquad R \leftarrow R + \bar{A}^l R, \qquad L = r^\top (R - I)

    where :math:`\alpha^l_h` is what head h of attention l gives, R is the identity at first, and r which tokens are
    read behind the last attention: the class token, or all alike.
    What a token has of itself, before any attention, is left out.
    Cost: one forward pass, one backward pass to the first attention.

    Warnings
    --------
    The layers between the attentions are taken to pass on what they get. What speaks against the class is dropped at
    each attention.

    Notes
    -----
    The paper reads a class token, to whose row of R the identity adds nothing at the patches. Where all tokens are
    read, it would add the same to each.

    References
    ----------
    Chefer, Gur and Wolf, Generic attention-model explainability for interpreting bi-modal and encoder-decoder
    transformers, ICCV 2021, arXiv:2103.15679, equations 5 and 6.
    """

    name = "attention-relevance"
    question = "how did the evidence for the class go from the patches through all attentions?"
    cost = "one forward pass, one backward pass to the first attention"
    cost_class = "backward"
    paper = "Chefer et al., ICCV 2021"

    def mixture(self, attention: Attention) -> tf.Tensor:
        """Return the mean over the heads of what gradient times attention has above zero."""
        return tf.reduce_mean(tf.nn.relu(attention.gradients * attention.probabilities), axis=2)

    def before(self, read: TokenWeights, asked: TokenWeights, taken: TokenWeights) -> TokenWeights:
        """Return what is read and what is taken."""
        return read.plus(taken)
