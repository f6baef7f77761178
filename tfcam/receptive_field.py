"""Strides and theoretical receptive fields, told by the operations of a traced graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import tensorflow as tf

from tfcam.graph import Functions, flow, is_pooling, keeps_channels
from tfcam.layouts import find_layout

_CELL_BY_CELL = {
    *("Identity", "IdentityN", "Cast", "Squeeze", "ExpandDims", "StopGradient", "ZerosLike", "OnesLike"),
    *("Relu", "Relu6", "LeakyRelu", "Elu", "Selu", "Sigmoid", "Tanh", "Softplus", "Softsign", "Softmax", "LogSoftmax"),
    *("Exp", "Expm1", "Log", "Log1p", "Sqrt", "Rsqrt", "Square", "SquaredDifference", "Abs", "Neg", "Pow", "Erf"),
    *("Add", "AddV2", "AddN", "Sub", "Mul", "Div", "RealDiv", "DivNoNan", "Maximum", "Minimum", "SelectV2", "Greater"),
    *("GreaterEqual", "Less", "LessEqual", "Erfc", "BiasAdd", "FusedBatchNorm", "FusedBatchNormV3", "LRN"),
    *("Pad", "PadV2", "MirrorPad", "ConcatV2", "Split", "SplitV", "GatherV2", "ResourceGather"),
}


@dataclass(frozen=True)
class Field:
    """What one cell of a tensor sees of the input, along each axis of the grid.

    Attributes
    ----------
    strides : tuple of Fraction
        How many cells of the input lie between two of the tensor's; less than 1 where it is finer than the input.
    sizes : tuple of Fraction
        How many cells of the input one cell of the tensor is computed from.
    """

    strides: tuple[Fraction, ...]
    sizes: tuple[Fraction, ...]

    def through(self, kernel: Sequence[int], steps: Sequence[Fraction]) -> Field:
        """Return the field behind a window of `kernel` cells that moves in `steps`."""
        return Field(
            tuple(stride * step for stride, step in zip(self.strides, steps, strict=True)),
            tuple(size + (k - 1) * stride for size, k, stride in zip(self.sizes, kernel, self.strides, strict=True)),
        )

    def joined(self, other: Field) -> Field:
        """Return the field of what is computed cell by cell from both."""
        return Field(
            tuple(map(max, self.strides, other.strides)),
            tuple(map(max, self.sizes, other.sizes)),
        )


def fields(graph: Any, functions: Functions, source: tf.Tensor, rank: int) -> dict[tf.Operation, Field]:
    """Return the fields of the operations computed from a tensor with a grid of `rank` axes, as far as they have one.

    A cell behind a Dense layer on a flattened tensor, a loop or an attention has none. What is pooled to one cell and
    weights the others, as in a squeeze-and-excite block, is not counted: it sees all.
    """
    ones = (Fraction(1),) * rank
    found = {source.op: Field(ones, ones)}
    related, weights = flow(graph, {source.op: 1}), _weight_shapes(graph)
    for operation in graph.get_operations():
        if operation in found or not operation.outputs or not related[operation]:
            continue
        given = [(tensor, found[tensor.op]) for tensor in operation.inputs if tensor.op in found]
        lost = [tensor for tensor in operation.inputs if related[tensor.op] and tensor.op not in found]
        if not given or any(_has_cells(tensor, rank) for tensor in lost):
            continue
        kernels = [weights.get(tensor.name, tensor.shape) for tensor in operation.inputs if not related[tensor.op]]
        field = _behind(operation, functions.window(operation), given, kernels, rank)
        if field is not None:
            found[operation] = field
    return found


def _weight_shapes(graph: Any) -> dict[str, tf.TensorShape]:
    """Return the shapes of the variables that a graph hands on to the functions it calls, by the tensor's name."""
    shapes = {id(variable.handle): variable.shape for variable in graph.variables}
    return {inner.name: shapes[id(outer)] for outer, inner in graph.captures if id(outer) in shapes}


def _has_cells(tensor: tf.Tensor, rank: int) -> bool:
    """Whether a tensor has a grid of more than one cell."""
    shape = tensor.shape
    return shape.rank is None or (shape.rank >= rank + 2 and any(size != 1 for size in shape[1:-1]))


def _behind(
    operation: tf.Operation,
    node: Any | None,
    given: list[tuple[tf.Tensor, Field]],
    kernels: list[tf.TensorShape],
    rank: int,
) -> Field | None:
    """Return the field behind an operation, which `node` describes where it is a convolution or pooling."""
    tensor, field = given[0]
    for _, other in given[1:]:
        field = field.joined(other)
    if node is not None:
        return _window(node, kernels, field, rank)
    if operation.type in ("SpaceToBatchND", "BatchToSpaceND"):
        block = tf.get_static_value(operation.inputs[1])
        if block is None or len(block) > rank:
            return None
        factors = [Fraction(int(size)) for size in block]
        if operation.type == "BatchToSpaceND":
            factors = [1 / factor for factor in factors]
        return field.through([1] * rank, [Fraction(1)] * (rank - len(factors)) + factors)
    if operation.type == "Tile" and tensor.op.type == "ExpandDims":
        return _repeated(operation, tensor, field, rank)
    if operation.type.startswith("Resize"):
        before, after = tensor.shape.as_list()[1:-1], operation.outputs[0].shape.as_list()[1:-1]
        if None in before or None in after or len(before) != rank:
            return None
        taps = {"ResizeBilinear": 2, "ResizeBicubic": 4}.get(operation.type, 1)
        return field.through([taps] * rank, [Fraction(b, a) for b, a in zip(before, after, strict=True)])
    if operation.type in ("MatMul", "BatchMatMulV2"):
        # A Dense layer on each cell, where one of the two is a matrix of weights; else an attention.
        return field if len(given) == len(kernels) == 1 and tensor.op is operation.inputs[0].op else None
    return field if _keeps_cells(operation, tensor) else None


def _window(node: Any, kernels: list[tf.TensorShape], field: Field, rank: int) -> Field | None:
    """Return the field behind a convolution or pooling that `node` describes."""
    backwards = "Backprop" in node.op
    steps = [Fraction(step) for step in _spatial(node.attr["strides"].list.i, node)]
    if is_pooling(node.op):
        kernel = _spatial(node.attr["ksize"].list.i, node)
    else:
        # A kernel has the axes of the grid, and two of channels.
        kernel = next((shape.as_list()[:-2] for shape in kernels if shape.rank == len(steps) + 2), [])
    dilations = _spatial(node.attr["dilations"].list.i, node) or [1] * len(kernel)
    if None in kernel or len(kernel) < rank:
        return None
    # A convolution of series is one of images of a single row to TensorFlow.
    kernel, steps, dilations = kernel[-rank:], steps[-rank:], dilations[-rank:]
    wide = [(k - 1) * dilation + 1 for k, dilation in zip(kernel, dilations, strict=True)]
    if backwards:
        # A cell of the output sees those of the input that lie under the kernel, laid out `steps` apart.
        wide = [-(-k // int(step)) for k, step in zip(wide, steps, strict=True)]
        steps = [1 / step for step in steps]
    return field.through(wide, steps)


def _repeated(operation: tf.Operation, tensor: tf.Tensor, field: Field, rank: int) -> Field | None:
    """Return the field where each cell is repeated, which is done along a new axis right after that of the cells."""
    axis = tf.get_static_value(tensor.op.inputs[1])
    if axis is None:
        return None
    new = int(axis) % tensor.shape.rank
    times, grid_axis = operation.outputs[0].shape[new], new - 2
    if times is None or not 0 <= grid_axis < rank:
        return None
    steps = [Fraction(1, times) if i == grid_axis else Fraction(1) for i in range(rank)]
    return field.through([1] * rank, steps)


def _spatial(values: Sequence[int], node: Any) -> list[int]:
    """Return the values for the axes of the grid, of an attribute that has one for each axis."""
    if not values:
        return []
    layout = find_layout(node.attr["data_format"].s.decode()) if "data_format" in node.attr else None
    return list(layout.grid(tuple(values)) if layout else values[1:-1])  # type: ignore[arg-type]


def _keeps_cells(operation: tf.Operation, tensor: tf.Tensor) -> bool:
    """Whether an operation computes each cell of its output from the same cell of its input."""
    before = tensor.shape
    if operation.type in ("Mean", "Sum", "Max", "Min", "Prod"):
        axes = tf.get_static_value(operation.inputs[1])
        return axes is not None and {int(axis) % before.rank for axis in axes.ravel()} == {before.rank - 1}
    if operation.type == "Reshape":
        return keeps_channels(operation)
    if operation.type == "Transpose":
        order, rank = tf.get_static_value(operation.inputs[1]), before.rank
        # That of tokens ``(N, T, C)`` is not one of layout: what is multiplied then is all tokens.
        moves = ([0, *range(2, rank), 1], [0, rank - 1, *range(1, rank - 1)]) if (rank or 0) > 3 else ()
        return order is not None and list(order) in (list(range(rank or 0)), *moves)
    if operation.type == "StridedSlice":
        steps = tf.get_static_value(operation.inputs[3])
        return steps is not None and bool((steps == 1).all())
    return operation.type in _CELL_BY_CELL
