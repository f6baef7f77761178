"""Part of a graph computed once more, from other tensors than those it was computed from."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from tfcam.graph.op_types import apply
from tfcam.graph.traversal import ancestors, flow


def replayed(ends: Sequence[tf.Tensor], tensor: tf.Tensor, given: tf.Tensor) -> list[tf.Tensor]:
    """Return what the ends would be with another tensor, of the same shape, in place of one of their graph.

    Only what lies between is computed, in the graph that is being traced.

    Raises
    ------
    ValueError
        Where an operation in between cannot be copied.
    """
    before = {operation for end in ends for operation in ancestors(end.op)}
    after = flow(tensor.graph, {tensor.op: 1})
    values = {(tensor.op, tensor.value_index): given}
    for operation in tensor.graph.get_operations():
        inputs = [values.get((one.op, one.value_index), one) for one in operation.inputs]
        if operation is tensor.op or operation not in before or not after[operation]:
            continue
        try:
            outputs = apply(operation, inputs)
        except (AttributeError, TypeError, ValueError) as error:
            raise ValueError(f"The model's operation {operation.name!r} cannot be computed again: {error}") from error
        values |= {(operation, number): output for number, output in enumerate(outputs)}
    return [values.get((end.op, end.value_index), end) for end in ends]
