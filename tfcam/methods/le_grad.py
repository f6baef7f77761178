"""LeGrad."""

from __future__ import annotations

import tensorflow as tf

from tfcam.engine import Run
from tfcam.engine.attentions import Attention
from tfcam.engine.block_heads import attentions_of_blocks
from tfcam.methods.base import AttentionSum


class LeGrad(AttentionSum):
    r"""Which patches would raise the class if each block attended to them more, were that block the last?

    .. math:: L = \frac{1}{B} \sum_l \frac{1}{H Q} \sum_{h, q}
        \mathrm{ReLU}\Big(\frac{\partial S(\bar{Z}^l)}{\partial \alpha^l_h}\Big)_{q}

    where :math:`\alpha^l_h` is what head h of the attention of block l gives, Q queries each, and
    :math:`S(\bar{Z}^l)` the score that the model's head, from its last norm on, gives of the mean of the tokens that
    block l puts out. Where an attention pools the tokens, the head gets them as they are, and the gradient is that of
    this pooling.
    Cost: one forward pass, the head and one backward pass through each block: together one backward pass.

    Warnings
    --------
    The head was trained on tokens of the last block, and may make anything of those of the first. Only blocks whose
    tokens have the width of the last one's are counted: of a Swin transformer those of its last stage.

    Notes
    -----
    The paper scales the map from its lowest to its highest cell; here it is the mean, so that a patch without a
    positive gradient is zero.

    References
    ----------
    Bousselham et al., LeGrad: An explainability method for vision transformers via feature formation sensitivity,
    ICCV 2025, arXiv:2404.03214, equations 7 to 10.
    """

    name = "le-grad"
    question = "which patches would raise the class if each block attended to them more?"
    paper = "Bousselham et al., ICCV 2025"

    def chosen(self, run: Run, attentions: list[Attention]) -> list[Attention]:
        """Return the attention of each block, as if the block were the last."""
        return attentions_of_blocks(run, attentions)

    def combine(self, attention: Attention, rows: tf.Tensor) -> tf.Tensor:
        """Return the mean of the positive gradients over heads and queries."""
        return tf.reduce_mean(tf.nn.relu(attention.gradients), axis=(2, 3))
