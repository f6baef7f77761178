"""AGCAM."""

from __future__ import annotations

import tensorflow as tf

from tfcam.engine.attentions import Attention
from tfcam.methods.base import AttentionSum


class AGCAM(AttentionSum):
    r"""Which patches does the class want to be attended to, by what all attentions made of them before their softmax?

    .. math:: L = \sum_l \sum_h \sum_q r_q\, \mathrm{sigmoid}\big(Z^l_h\big)_{qk} \odot
        \mathrm{ReLU}\Big(\frac{\partial S}{\partial \alpha^l_h}\Big)_{qk}

    where :math:`\alpha^l_h = \mathrm{softmax}(Z^l_h)` is what head h of attention l gives, and r which tokens are read
    behind the last one: the class token, or all alike. A softmax leaves few patches anything; the sigmoid asks each
    patch on its own.
    Cost: one forward pass, one backward pass to the first attention.

    Warnings
    --------
    The sigmoid of a patch that is not attended to may be about a half, not zero, so that the gradient tells most of the
    map.

    Notes
    -----
    The sum is divided by the number of attentions, which scales the map. For models whose tokens are pooled, which the
    paper has none of, the rows of all tokens count alike.

    References
    ----------
    Leem and Seo, Attention guided CAM: visual explanations of vision transformer guided by self-attention, AAAI 2024,
    arXiv:2402.04563, equation 8.
    """

    name = "agcam"
    question = "which patches does the class want to be attended to, asked one by one?"
    paper = "Leem and Seo, AAAI 2024"

    def combine(self, attention: Attention, rows: tf.Tensor) -> tf.Tensor:
        """Return sigmoid times positive gradient, summed over the heads, of the rows that are read."""
        wanted = tf.sigmoid(attention.logits) * tf.nn.relu(attention.gradients)
        return tf.einsum("nwq,nwhqk->nwk", rows, wanted)
