"""Whether a score depends on a layer, whether it has a gradient, and whether it is affine."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import tensorflow as tf

from tfcam.graph.op_types import is_affine_in, op_type
from tfcam.graph.traversal import ancestors


def reaches(tensor: tf.Tensor, output: tf.Tensor) -> bool:
    """Whether an output is computed from a tensor, of its graph or of one around it."""
    sources = ancestors(output.op)
    return tensor.op in sources or any(reaches(tensor, outside) for outside, _ in _captures(output, tensor, sources))


def require_dependence(scores: tf.Tensor, tensor: tf.Tensor, layer: str, model: str) -> None:
    """Refuse scores that are not computed from a tensor of a layer."""
    if not reaches(tensor, scores):
        raise ValueError(
            f"The explained score does not depend on conv_layer {layer!r} of {model!r}: choose a layer on the path to "
            "the output (tfcam.list_layers(model) shows them); an operator takes its score from model(inputs)."
        )


def require_gradient(gradient: tf.Tensor | None, scores: tf.Tensor, tensor: tf.Tensor, layer: str, model: str) -> None:
    """Refuse scores that have no gradient with respect to a tensor of a layer, and say why they have none."""
    if gradient is None:
        require_dependence(scores, tensor, layer, model)
        raise ValueError(
            f"The explained score is computed from conv_layer {layer!r} by an operation without gradient, "
            "such as an argmax or a rounding: name the layer before it as output_layer=."
        )


def is_affine(output: tf.Tensor, tensor: tf.Tensor) -> bool:
    """Whether an output is sums and products of constants and a tensor, of its graph or of one around it."""
    sources, dependent = set(ancestors(output.op)), {tensor.op}
    for outside, inside in _captures(output, tensor, sources):
        if reaches(tensor, outside):
            if not is_affine(outside, tensor):
                return False
            dependent.add(inside.op)
    for operation in output.graph.get_operations():
        if operation in sources and operation not in dependent and op_type(operation).family != "shape":
            marks = [one.op in dependent for one in operation.inputs]
            if any(marks):
                if not (operation.outputs[0].dtype.is_floating and is_affine_in(operation, marks)):
                    return False
                dependent.add(operation)
    return output.op in dependent


def _captures(
    output: tf.Tensor, tensor: tf.Tensor, operations: Collection[tf.Operation]
) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
    """Yield what operations of an output's graph read of the graph of a tensor around it: outside and inside."""
    if output.graph is not tensor.graph:
        for outside, inside in output.graph.captures:
            if inside.op in operations and isinstance(getattr(outside, "op", None), tf.Operation):
                yield outside, inside
