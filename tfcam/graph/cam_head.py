"""Whether a layer is followed by global average pooling and linear layers, which CAM needs."""

from __future__ import annotations

import tensorflow as tf

from tfcam.graph.op_types import op_type
from tfcam.graph.traversal import ancestors


def obstacle(activations: tf.Tensor, output: tf.Tensor) -> str | None:
    """Return the type of the first operation between a layer and an output that CAM's head may not have; else None.

    The head is a pooling of the whole grid, products with weights, and sums.
    """
    sources = set(ancestors(output.op))
    has_no_grid: dict[tf.Operation, bool] = {activations.op: False}
    for operation in activations.graph.get_operations():
        inputs = [has_no_grid[tensor.op] for tensor in operation.inputs if tensor.op in has_no_grid]
        row = op_type(operation)
        if operation in has_no_grid or operation not in sources or not inputs or row.family == "shape":
            continue
        if not _is_of_head(operation, all(inputs), len(inputs)):
            return operation.type
        is_pooling = row.family in ("pooling", "reduction") and _has_no_grid(operation.outputs[0])
        has_no_grid[operation] = all(inputs) or is_pooling
    return None if has_no_grid.get(output.op) else "no such pooling"


def _is_of_head(operation: tf.Operation, is_pooled: bool, count: int) -> bool:
    """Whether an operation with so many inputs from the layer, pooled or not, belongs to CAM's head."""
    row = op_type(operation)
    if not row.affine or (count > 1 and row.affine != "all"):
        return False
    weights = operation.inputs[1].shape if len(operation.inputs) > 1 else tf.TensorShape([])
    if row.family == "convolution":
        return all(size == 1 for size in weights[:-2])
    if is_pooled:
        return True
    if row.reach == "number" and row.affine != "all":
        # Weights of the channels, not of the cells.
        return all(size == 1 for size in weights[:-1])
    return row.affine == "all" or row.family in ("pooling", "reduction") or operation.type == "Transpose"


def _has_no_grid(tensor: tf.Tensor) -> bool:
    return tensor.shape.rank is not None and sum(size != 1 for size in tensor.shape[1:]) <= 1
