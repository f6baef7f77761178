"""BiCAM."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfcam.engine.attentions import Attention
from tfcam.methods.base import AttentionSum


class BiCAM(AttentionSum):
    r"""Which patches help the class, and which hurt it, by what the later attentions take from them?

    .. math:: L = \sum_{l > B / 3} \sum_h \sum_q r_q\, \mathrm{softmax}\Big(\frac{Z^l_h}{\tau}\Big)_{qk}
        \Big(\frac{\partial S}{\partial o_q} \cdot v_k\Big)_h

    where :math:`Z^l_h` is what the softmax of head h of attention l is of, one of B, o what the attention gives, v its
    values, and r which tokens are read behind the last one: the class token, or all alike. The product of gradient and
    value is the gradient for the probabilities, :math:`\partial S / \partial \alpha^l_h`.
    ``signed=True`` shows what hurts below zero.
    Cost: one forward pass, one backward pass to the first of these attentions.

    Parameters
    ----------
    temperature : float
        What the attention is softened by; 1 leaves it as the model has it.

    Warnings
    --------
    A gradient says what a small change would do: behind a saturated head both what helps and what hurts is small.

    Notes
    -----
    The abstract, which this is written from, has attention, value and gradient, with their sign, of the last two
    thirds of the layers, and a softmax with a temperature; how they are put together, and the temperature, are ours.
    Like every method's, the map has what speaks for the class; the paper's has both, as ``signed=True`` does. Its ratio
    of positive to negative, an alarm for adversarial images, is that of the sums of the two.

    References
    ----------
    Su and Luo, What helps, and what hurts: bidirectional explanations for vision transformers, PAKDD 2026,
    arXiv:2603.01605.
    """

    name = "bi-cam"
    question = "which patches help the class, and which hurt it, by what attentions take from them?"
    paper = "Su and Luo, PAKDD 2026"
    temperature = 1.0

    def __init__(self, *arguments: Any, temperature: float = 1.0, **named: Any) -> None:
        if not temperature > 0:
            raise ValueError(f"temperature must be above 0, got {temperature}: 1 leaves the attention as it is.")
        self.temperature = float(temperature)
        super().__init__(*arguments, **named)

    def chosen(self, attentions: list[Attention]) -> list[Attention]:
        """Return the last two thirds of the attentions."""
        return attentions[len(attentions) // 3 :]

    def combine(self, attention: Attention, rows: tf.Tensor) -> tf.Tensor:
        """Return softened attention times gradient, summed over the heads, of the rows that are read."""
        softened = tf.nn.softmax(attention.logits / self.temperature)
        return tf.einsum("nwq,nwhqk->nwk", rows, softened * attention.gradients)
