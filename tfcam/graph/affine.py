"""Whether a score depends on a layer, whether it has a gradient, and whether it is affine."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import tensorflow as tf

from tfcam.graph.traversal import REARRANGEMENTS, SUMS, ancestors, is_convolution

#: Affine in the first input; the others are axes, sizes and the like.
_IN_THE_FIRST = {
    *REARRANGEMENTS,
    *("StridedSlice", "Slice", "Unpack", "Split", "SplitV", "GatherV2", "GatherNd", "Pad", "PadV2", "MirrorPad"),
    *("Tile", "BroadcastTo", "ReverseV2", "SpaceToBatchND", "BatchToSpaceND", "SpaceToDepth", "DepthToSpace"),
    *("ResizeBilinear", "ResizeNearestNeighbor", "ResizeBicubic"),
    *("Neg", "RealDiv", "Sum", "Mean", "AvgPool", "AvgPool3D"),
}
#: Affine in each of their inputs, where the others are constant.
_PRODUCTS = {"Mul", "MatMul", "BatchMatMulV2", "Einsum"}
#: What tells of a tensor's shape alone.
_SHAPES = {"Shape", "ShapeN", "Size", "Rank"}


def reaches(given: tf.Tensor, output: tf.Tensor) -> bool:
    """Whether an output is computed from a tensor, of its graph or of one around it."""
    found = ancestors(output.op)
    return given.op in found or any(reaches(given, outside) for outside, _ in _captured(output, given, found))


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


def is_affine(output: tf.Tensor, given: tf.Tensor) -> bool:
    """Whether an output is sums and products of constants and a tensor, of its graph or of one around it."""
    wanted, reached = set(ancestors(output.op)), {given.op}
    for outside, inside in _captured(output, given, wanted):
        if reaches(given, outside):
            if not is_affine(outside, given):
                return False
            reached.add(inside.op)
    for operation in output.graph.get_operations():
        if operation in wanted and operation not in reached and operation.type not in _SHAPES:
            inputs = [tensor.op in reached for tensor in operation.inputs]
            if any(inputs):
                if not _is_affine(operation, inputs):
                    return False
                reached.add(operation)
    return output.op in reached


def _captured(
    output: tf.Tensor, given: tf.Tensor, found: Collection[tf.Operation]
) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
    """Yield what is read from around an output's graph, where a tensor is there, and as what it is known inside."""
    if output.graph is not given.graph:
        for outside, inside in output.graph.captures:
            if inside.op in found and isinstance(getattr(outside, "op", None), tf.Operation):
                yield outside, inside


def _is_affine(operation: tf.Operation, inputs: list[bool]) -> bool:
    """Whether an operation is affine in those of its inputs that depend on the tensor."""
    kind = operation.type
    if not operation.outputs[0].dtype.is_floating:
        return False
    if kind in SUMS or kind == "BiasAdd":
        return True
    if kind.startswith("FusedBatchNorm"):
        return inputs[0] and sum(inputs) == 1 and not operation.get_attr("is_training")
    if kind in _PRODUCTS or is_convolution(kind):
        return sum(inputs) == 1
    return kind in _IN_THE_FIRST and inputs[0] and sum(inputs) == 1
