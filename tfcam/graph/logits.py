"""Logits and probabilities: which of them a traced output is."""

from __future__ import annotations

import math
from collections.abc import Callable

import tensorflow as tf

from tfcam.graph.traversal import CALLS, REARRANGEMENTS, Functions, made_by

_ACTIVATIONS = ("Softmax", "LogSoftmax", "Sigmoid")


def activation_inputs(output: tf.Tensor) -> list[tf.Tensor]:
    """Return the tensors that enter the final softmax or sigmoid of a traced output; none where it ends in none.

    There are several where it is put together of parts that each end in one. A softmax of a softmax has its logits
    before the first, the logarithm of a softmax before the softmax.
    """
    operation = output.op
    if operation.type in _ACTIVATIONS:
        entering = operation.inputs[0]
        twice = made_by(entering)[-1].type == operation.type.removeprefix("Log")
        return activation_inputs(entering) if twice else [entering]
    parts = [activation_inputs(part) for part in _parts(operation)]
    return [tensor for part in parts for tensor in part] if all(parts) else []


def before_activation(output: tf.Tensor) -> tf.Tensor:
    """Return what enters the final softmax or sigmoid of a traced output, in the output's shape; else the output."""
    entering = {tensor.name for tensor in activation_inputs(output)}
    return _moved_like(output, entering) if entering else output


def _moved_like(output: tf.Tensor, entering: set[str]) -> tf.Tensor:
    """Return the tensors of these names, which enter activations, with all done to them that is done behind those."""
    operation = output.op
    if output.name in entering:
        return output
    if operation.type in _ACTIVATIONS:
        return _moved_like(operation.inputs[0], entering)
    parts = [_moved_like(part, entering) for part in _parts(operation)]
    if operation.type == "Pack":
        return tf.stack(parts, operation.get_attr("axis"))
    if operation.type == "ConcatV2":
        return tf.concat(parts, operation.inputs[-1])
    if operation.type == "Transpose":
        return tf.transpose(parts[0], operation.inputs[1])
    if operation.type in ("Identity", "Cast"):
        return parts[0]
    moved = tf.reshape(parts[0], tf.shape(output))
    moved.set_shape(output.shape)
    return moved


def _parts(operation: tf.Operation) -> list[tf.Tensor]:
    """Return the tensors that an operation moves, or puts together, as they are; none where it computes."""
    if operation.type == "Pack":
        return list(operation.inputs)
    if operation.type == "ConcatV2":
        return list(operation.inputs)[:-1]
    return [operation.inputs[0]] if operation.type in REARRANGEMENTS else []


def hides_probabilities(output: tf.Tensor) -> bool:
    """Whether a traced output holds probabilities, provably or because a loop that makes it ends in a softmax."""
    last = made_by(output)[-1]
    if last.type == "TensorListStack":
        last = made_by(last.inputs[0])[-1]
    if last.type not in CALLS:
        return is_probability(output)
    return any(kind == "Softmax" for kind, _ in Functions(output.graph).operations(last))


def is_probability(output: tf.Tensor) -> bool:
    """Whether the values of a traced output provably lie in [0, 1]."""
    low, high = bounds(output)
    return low >= -1e-6 and high <= 1 + 1e-6


def bounds(tensor: tf.Tensor, depth: int = 30) -> tuple[float, float]:
    """Return an interval that provably holds every value of a traced tensor."""
    known = tf.get_static_value(tensor)
    if known is not None and known.size:
        return float(known.min()), float(known.max())
    if depth == 0:
        return -math.inf, math.inf
    operation = tensor.op
    kind = operation.type

    def of(index: int) -> tuple[float, float]:
        return bounds(operation.inputs[index], depth - 1)

    if kind in ("Sigmoid", "Softmax"):
        return 0.0, 1.0
    if kind in ("Pack", "ConcatV2"):
        lows, highs = zip(*(bounds(part, depth - 1) for part in _parts(operation)), strict=True)
        return min(lows), max(highs)
    if kind in REARRANGEMENTS or kind in ("Mean", "StridedSlice", "Max", "Min"):
        return of(0)
    if kind in ("Relu", "Relu6"):
        return max(0.0, of(0)[0]), min(6.0 if kind == "Relu6" else math.inf, max(0.0, of(0)[1]))
    if kind in ("Minimum", "Maximum"):
        pick: Callable[..., float] = min if kind == "Minimum" else max
        return pick(of(0)[0], of(1)[0]), pick(of(0)[1], of(1)[1])
    if kind in ("Add", "AddV2"):
        return of(0)[0] + of(1)[0], of(0)[1] + of(1)[1]
    if kind == "Sub":
        return of(0)[0] - of(1)[1], of(0)[1] - of(1)[0]
    if kind == "Exp":
        return 0.0, math.inf
    if kind == "RealDiv" and _is_sum_of(operation.inputs[1], operation.inputs[0]) and of(0)[0] >= 0.0:
        return 0.0, 1.0
    if kind in ("Mul", "RealDiv"):
        ends = [_times(a, b, kind) for a in of(0) for b in of(1)]
        return (-math.inf, math.inf) if any(math.isnan(end) for end in ends) else (min(ends), max(ends))
    return -math.inf, math.inf


def _is_sum_of(total: tf.Tensor, parts: tf.Tensor) -> bool:
    return total.op.type == "Sum" and total.op.inputs[0].name == parts.name


def _times(one: float, other: float, kind: str) -> float:
    if kind == "RealDiv":
        return one / other if other and math.isfinite(other) else math.nan
    return one * other
