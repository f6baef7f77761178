"""The constants that a model adds to its data, found in its traced graph, and what a score owes each of them."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from tfcam.graph import Functions, ancestors, flow, layouts
from tfcam.layouts import CHANNELS_LAST, Layout

#: Operations on each number alone that are not linear: ``f(z)`` is ``f'(z) z`` and a constant.
CURVED = {
    *("Relu6", "Sigmoid", "Tanh", "Elu", "Selu", "Softplus", "Softsign", "Erf", "Erfc", "Exp", "Expm1", "Log", "Log1p"),
    *("Square", "Sqrt", "Rsqrt", "Reciprocal", "Pow", "Maximum", "Minimum"),
}

#: Products of what comes from the data with what comes from the data.
_QUADRATIC = {"Mul", "SquaredDifference", "MatMul", "BatchMatMulV2", "Einsum"}


@dataclass(frozen=True)
class Bias:
    """A constant that is part of a tensor.

    Attributes
    ----------
    tensor : tf.Tensor
        ``(N, ...)``: what the constant is part of.
    constant : tf.Tensor
        The constant, broadcastable to it.
    layout : Layout
        How the tensor is a grid.
    """

    tensor: tf.Tensor
    constant: tf.Tensor
    layout: Layout


def biases(inputs: list[tf.Tensor], output: tf.Tensor, implicit: bool) -> list[Bias]:
    """Return the constants that an output was computed with from inputs of its graph.

    With `implicit`, those of functions that are not linear too: ``f(z) - f'(z) z``.
    """
    graph = output.graph
    data = flow(graph, {tensor.op: 1 for tensor in inputs})
    formats = layouts(graph, Functions(graph), {})
    found = []
    for operation in ancestors(output.op):
        given = [bool(data.get(tensor.op)) for tensor in operation.inputs]
        if not any(given) or not operation.outputs[0].dtype.is_floating:
            continue
        constant = _explicit(operation, given)
        if constant is None and implicit:
            constant = _implicit(operation, given)
        if constant is not None:
            found.append(Bias(operation.outputs[0], constant, formats.get(operation, CHANNELS_LAST)))
    return found


def _explicit(operation: tf.Operation, given: list[bool]) -> tf.Tensor | None:
    """Return what an operation adds to its only input from the data."""
    kind, inputs = operation.type, list(operation.inputs)
    if kind.startswith("FusedBatchNorm") and not operation.get_attr("is_training"):
        _, scale, offset, mean, variance = inputs
        constant = offset - scale * mean * tf.math.rsqrt(variance + operation.get_attr("epsilon"))
        return _along_channels(tf.cast(constant, operation.outputs[0].dtype), operation)
    if sum(given) != 1:
        return None
    if kind == "BiasAdd" and given[0]:
        return _along_channels(inputs[1], operation)
    if kind in ("Add", "AddV2"):
        return inputs[given.index(False)]
    if kind == "Sub":
        return -inputs[1] if given[0] else inputs[0]
    return None


def _implicit(operation: tf.Operation, given: list[bool]) -> tf.Tensor | None:
    """Return the constant of an operation that is not linear in its inputs."""
    value = operation.outputs[0]
    if operation.type in _QUADRATIC and all(given):
        return -value
    if operation.type == "RealDiv" and given[1]:
        # In the denominator, the derivative takes away what that of the numerator gives, or once more without one.
        return value if given[0] else 2.0 * value
    if operation.type == "Softmax":
        logits = operation.inputs[0]
        return value * (1.0 - logits + tf.reduce_sum(value * logits, axis=-1, keepdims=True))
    entering = None
    if operation.type in CURVED and sum(given) == 1:
        entering = operation.inputs[given.index(True)]
    elif operation.type == "IdentityN":
        # A function with a gradient of its own, such as TensorFlow's SiLU: its value, and then what it was given.
        others = [tensor for tensor in operation.inputs[1:] if tensor.shape.rank == value.shape.rank]
        entering = others[0] if len(others) == 1 else None
    slope = None if entering is None else tf.gradients(value, [entering])[0]
    return None if slope is None else value - entering * slope


def _along_channels(constant: tf.Tensor, operation: tf.Operation) -> tf.Tensor:
    if operation.get_attr("data_format").decode().startswith("NC"):
        return tf.reshape(constant, [-1, *[1] * (operation.outputs[0].shape.rank - 2)])
    return constant
