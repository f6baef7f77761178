"""What the head of a model makes of the tokens of each of its blocks."""

from __future__ import annotations

from dataclasses import replace

import tensorflow as tf

from tfcam.engine.attentions import Attention, with_gradients
from tfcam.engine.run import Run
from tfcam.graph.attentions import block_ends, token_axes
from tfcam.graph.replay import replayed


def attentions_of_blocks(run: Run, attentions: list[Attention]) -> list[Attention]:
    """Return the attention of each block, with the gradient of the score that the head gives of that block's tokens.

    The head is what follows the last block, and it gets the mean of the tokens in place of each. Where an attention
    pools the tokens, it gets them as they are, and the attention is that pooling.
    Blocks whose tokens have another shape than those of the last one are left out: no head reads them.

    Raises
    ------
    ValueError
        Where the last attention over tokens has no skip connection behind it, so that no block ends.
    """
    ends, origins = tf.nest.flatten(run.outputs), run.axis_origins
    mixing = [one.softmax for one in attentions if one.queries.grid]
    pooling = [one.softmax for one in attentions if not one.queries.grid]
    tokens = block_ends(mixing, origins, [one.output for one in pooling] or ends)
    last = tokens[-1] if tokens else None
    if last is None:
        raise ValueError(
            f"Model {run.instrumented.model.name!r} has no block of an attention and a skip connection, whose tokens "
            "its head could read: take AttentionRelevance, which needs none."
        )
    result: list[Attention] = []
    for softmax, one in zip(mixing, tokens, strict=True):
        if one is None or one.shape.as_list() != last.shape.as_list():
            continue
        axes = token_axes(one, origins)
        given = one if pooling else tf.broadcast_to(tf.reduce_mean(one, axis=axes, keepdims=True), tf.shape(one))
        wanted = [*ends, *(tensor for pool in pooling for tensor in (pool.output, pool.logits))]
        found = replayed(wanted, last, given)
        outputs = tf.nest.pack_sequence_as(run.outputs, found[: len(ends)])
        scores = replace(run, outputs=outputs).scores()
        pools = [
            replace(pool, output=found[len(ends) + 2 * number], logits=found[len(ends) + 2 * number + 1])
            for number, pool in enumerate(pooling)
        ]
        result += with_gradients(pools or [softmax], scores, origins, run.is_half)
    return result
