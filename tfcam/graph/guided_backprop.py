"""Guided backpropagation: gradients pass a ReLU only where they are positive."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from tfcam.graph.traversal import ancestors

_GUIDED = {"Relu": "TfcamGuidedRelu", "Relu6": "TfcamGuidedRelu6"}


def _gradient(operation: tf.Operation, gradient: tf.Tensor) -> tf.Tensor:
    is_open = operation.outputs[0] > 0
    if operation.type == "Relu6":
        is_open &= operation.outputs[0] < 6
    return tf.where(is_open, tf.nn.relu(gradient), tf.zeros_like(gradient))


for _name in _GUIDED.values():
    tf.RegisterGradient(_name)(_gradient)


@contextmanager
def guidance() -> Iterator[None]:
    """Let `tf.gradients` go back through the ReLUs that are traced meanwhile where it is positive alone."""
    with tf.compat.v1.get_default_graph().gradient_override_map(_GUIDED):
        yield


def is_guided(tensor: tf.Tensor) -> bool:
    """Whether a tensor was computed with a ReLU."""
    return any(operation.type in _GUIDED for operation in ancestors(tensor.op))
