"""Whether a layer is followed by global average pooling and linear layers, which CAM needs."""

from __future__ import annotations

import tensorflow as tf

from tfcam.graph.traversal import SUMS, ancestors, is_convolution

_POOLINGS = {"Mean", "Sum", "AvgPool", "AvgPool3D"}
#: Linear in the one input that comes from the layer; of the others, those that must have only one.
_CELLWISE = {"Identity", "Cast", "Transpose", "BiasAdd", "AddV2", "Add", "Sub", "Neg", "StopGradient"}
_PRODUCTS = {"Mul", "RealDiv", "MatMul", "BatchMatMulV2", "Einsum"}
_RESHAPES = {"Reshape", "Squeeze", "ExpandDims", "StridedSlice"}


def obstacle(activations: tf.Tensor, output: tf.Tensor) -> str | None:
    """Return which operation between the activations of a layer and an output is none of CAM's; None where all are.

    Its operations are a pooling of the whole grid, products with weights, and sums.
    """
    wanted = set(ancestors(output.op))
    pooled: dict[tf.Operation, bool] = {activations.op: False}
    for operation in activations.graph.get_operations():
        given = [pooled[tensor.op] for tensor in operation.inputs if tensor.op in pooled]
        if operation in pooled or operation not in wanted or not given or operation.type == "Shape":
            continue
        if not _is_linear(operation, all(given), len(given)):
            return operation.type
        pooled[operation] = all(given) or (operation.type in _POOLINGS and _has_no_grid(operation.outputs[0]))
    return None if pooled.get(output.op) else "no such pooling"


def _is_linear(operation: tf.Operation, is_pooled: bool, given: int) -> bool:
    """Whether an operation with so many inputs from the layer, its grid pooled or not, belongs to CAM's head."""
    kind = operation.type
    if given > 1 and kind not in SUMS:
        return False
    if kind in _CELLWISE | SUMS | _POOLINGS:
        return True
    weights = operation.inputs[1].shape if len(operation.inputs) > 1 else tf.TensorShape([])
    if is_convolution(kind):
        return all(size == 1 for size in weights[:-2])
    if kind in ("Mul", "RealDiv") and not is_pooled:
        # Weights of the channels, not of the cells.
        return all(size == 1 for size in weights[:-1])
    return is_pooled and kind in _PRODUCTS | _RESHAPES


def _has_no_grid(tensor: tf.Tensor) -> bool:
    return tensor.shape.rank is not None and sum(size != 1 for size in tensor.shape[1:]) <= 1
