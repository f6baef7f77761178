"""LeGrad."""

from __future__ import annotations

import tensorflow as tf

from tfcam.engine import Run
from tfcam.engine.attentions import Attention
from tfcam.engine.block_heads import attentions_of_blocks
from tfcam.engine.token_weights import TokenWeights
from tfcam.methods.base import AttentionMethod


class LeGrad(AttentionMethod):
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
    cost = "one forward pass, one backward pass through each block"
    cost_class = "backward"
    paper = "Bousselham et al., ICCV 2025"

    def weights(self, run: Run, attentions: list[Attention]) -> TokenWeights:
        """Return the mean, over blocks, heads and queries, of the positive gradients, each block being the last."""
        blocks = attentions_of_blocks(run, attentions)
        means = (tf.reduce_mean(tf.nn.relu(block.gradients), axis=(2, 3)) for block in blocks)
        return TokenWeights.mean([TokenWeights.of(one.keys, mean) for one, mean in zip(blocks, means, strict=True)])
