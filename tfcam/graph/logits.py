"""Logits and probabilities: which of them a traced output is."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfcam.graph.op_types import apply, op_type
from tfcam.graph.traversal import Functions, origin

_ACTIVATIONS = ("Softmax", "LogSoftmax", "Sigmoid")


def activation_inputs(output: tf.Tensor) -> list[tf.Tensor]:
    """Return the tensors that enter the final softmax or sigmoid of a traced output; none where it ends in none.

    There are several where parts are joined that each end in one. A softmax of a softmax has its logits before the
    first, the logarithm of a softmax before the softmax.
    """
    operation = output.op
    if operation.type in _ACTIVATIONS:
        logits = operation.inputs[0]
        is_repeated = origin(logits).type == operation.type.removeprefix("Log")
        return activation_inputs(logits) if is_repeated else [logits]
    parts = [activation_inputs(part) for part in _parts(operation)]
    return [tensor for part in parts for tensor in part] if all(parts) else []


def before_activation(output: tf.Tensor) -> tf.Tensor:
    """Return what enters the final softmax or sigmoid of a traced output, in the output's shape; else the output."""
    logits = {tensor.name for tensor in activation_inputs(output)}
    return _without_activations(output, logits) if logits else output


def _without_activations(output: tf.Tensor, logits: set[str]) -> tf.Tensor:
    """Return an output as it is without the activations that tensors of these names enter."""
    operation = output.op
    if output.name in logits:
        return output
    if operation.type in _ACTIVATIONS:
        return _without_activations(operation.inputs[0], logits)
    parts = [_without_activations(part, logits) for part in _parts(operation)]
    if operation.type in ("Identity", "Cast"):
        return parts[0]
    [result, *_] = apply(operation, [*parts, *operation.inputs[len(parts) :]])
    result.set_shape(output.shape)
    return result


def _parts(operation: tf.Operation) -> list[tf.Tensor]:
    """Return the tensors whose numbers an operation moves or joins; none where it computes others."""
    if operation.type in ("Pack", "ConcatV2"):
        return list(operation.inputs[: operation.get_attr("N")])
    return [operation.inputs[0]] if op_type(operation).rearranges else []


def hides_probabilities(output: tf.Tensor) -> bool:
    """Whether a traced output holds probabilities, provably or because a loop that computes it ends in a softmax."""
    last = origin(output)
    if last.type == "TensorListStack":
        last = origin(last.inputs[0])
    if op_type(last).family != "call":
        return is_probability(output)
    return any(kind == "Softmax" for kind, _ in Functions(output.graph).operations(last))


def is_probability(output: tf.Tensor) -> bool:
    """Whether the values of a traced output provably lie in [0, 1]."""
    low, high = bounds(output)
    return low >= -1e-6 and high <= 1 + 1e-6


def bounds(tensor: tf.Tensor, depth: int = 30) -> tuple[float, float]:
    """Return an interval that provably holds every value of a traced tensor."""
    value = tf.get_static_value(tensor)
    if value is not None and value.size:
        return float(value.min()), float(value.max())
    if depth == 0:
        return -math.inf, math.inf
    low, high = np.clip(_computed_bounds(tensor.op, depth - 1), *op_type(tensor.op).bounds)
    return float(low), float(high)


def _computed_bounds(operation: tf.Operation, depth: int) -> tuple[float, float]:
    """Return an interval for what an operation computes from its inputs."""
    kind, row = operation.type, op_type(operation)
    if row.within and kind not in ("Minimum", "Maximum"):
        # Axes, sizes and indices are integers.
        floats = [one for one in operation.inputs if one.dtype.is_floating] or operation.inputs[:1]
        lows, highs = zip(*(bounds(one, depth) for one in floats), strict=True)
        return min(lows), max(highs)
    if kind in ("Relu", "Relu6"):
        return bounds(operation.inputs[0], depth)
    if kind not in ("Minimum", "Maximum", "Add", "AddV2", "Sub", "Mul", "RealDiv"):
        return -math.inf, math.inf
    one, other = (bounds(tensor, depth) for tensor in operation.inputs)
    if kind in ("Minimum", "Maximum"):
        pick: Callable[..., float] = min if kind == "Minimum" else max
        return pick(one[0], other[0]), pick(one[1], other[1])
    if kind in ("Add", "AddV2"):
        return one[0] + other[0], one[1] + other[1]
    if kind == "Sub":
        return one[0] - other[1], one[1] - other[0]
    if kind == "RealDiv" and _is_sum_of(operation.inputs[1], operation.inputs[0]) and one[0] >= 0.0:
        return 0.0, 1.0
    ends = [_times(a, b, kind) for a in one for b in other]
    return (-math.inf, math.inf) if any(math.isnan(end) for end in ends) else (min(ends), max(ends))


def _is_sum_of(total: tf.Tensor, parts: tf.Tensor) -> bool:
    return total.op.type == "Sum" and total.op.inputs[0].name == parts.name


def _times(one: float, other: float, kind: str) -> float:
    if kind == "RealDiv":
        return one / other if other and math.isfinite(other) else math.nan
    return one * other
