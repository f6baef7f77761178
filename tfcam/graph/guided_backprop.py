"""Guided backpropagation: gradients pass a ReLU only where they are positive."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from tfcam.graph.traversal import ancestors

_GUIDED = {"Relu": "TfcamGuidedRelu", "Relu6": "TfcamGuidedRelu6"}


def _relu(operation: tf.Operation, gradient: tf.Tensor) -> tf.Tensor:
    return tf.where(operation.outputs[0] > 0, tf.nn.relu(gradient), tf.zeros_like(gradient))


def _relu6(operation: tf.Operation, gradient: tf.Tensor) -> tf.Tensor:
    inside = (operation.outputs[0] > 0) & (operation.outputs[0] < 6)
    return tf.where(inside, tf.nn.relu(gradient), tf.zeros_like(gradient))


for _kind, _gradient in {"Relu": _relu, "Relu6": _relu6}.items():
    tf.RegisterGradient(_GUIDED[_kind])(_gradient)


@contextmanager
def guidance() -> Iterator[None]:
    """Let `tf.gradients` go back through the ReLUs that are traced meanwhile where it is positive alone."""
    with tf.compat.v1.get_default_graph().gradient_override_map(_GUIDED):
        yield


def is_guided(tensor: tf.Tensor) -> bool:
    """Whether a tensor was computed with a ReLU."""
    return any(operation.type in _GUIDED for operation in ancestors(tensor.op))
