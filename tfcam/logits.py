"""Logits and probabilities: what a traced output is, told by the operations that made it."""

from __future__ import annotations

import math
from collections.abc import Callable

import tensorflow as tf

from tfcam.graph import MOVING, made_by


def activation_input(output: tf.Tensor) -> tf.Tensor | None:
    """Return the tensor that enters the final softmax or sigmoid of a traced output; None where there is none."""
    last = made_by(output)[-1]
    return last.inputs[0] if last.type in ("Softmax", "Sigmoid") else None


def before_activation(output: tf.Tensor) -> tf.Tensor:
    """Return what enters the final softmax or sigmoid of a traced output, in the output's shape; else the output."""
    logits = activation_input(output)
    if logits is None:
        return output
    for operation in reversed(made_by(output)[:-1]):
        if operation.type == "Transpose":
            logits = tf.transpose(logits, operation.inputs[1])
        elif operation.type not in ("Identity", "Cast"):
            logits = tf.reshape(logits, tf.shape(operation.outputs[0]))
            logits.set_shape(operation.outputs[0].shape)
    return logits


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
    if kind in MOVING or kind in ("Mean", "StridedSlice", "Max", "Min"):
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
    if kind in ("Mul", "RealDiv"):
        ends = [_times(a, b, kind) for a in of(0) for b in of(1)]
        return (-math.inf, math.inf) if any(math.isnan(end) for end in ends) else (min(ends), max(ends))
    return -math.inf, math.inf


def _times(one: float, other: float, kind: str) -> float:
    if kind == "RealDiv":
        return one / other if other and math.isfinite(other) else math.nan
    return one * other
