"""How each operation moves the cells of a grid: convolutions, poolings, paddings, slices, resizings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import tensorflow as tf

from tfcam.graph.op_types import op_type
from tfcam.graph.receptive_axis import Axis, Window
from tfcam.graph.receptive_sliding import Rule, Rules, sliding_rules, through
from tfcam.graph.traversal import Functions, keeps_channels, slice_index, transposed_layout
from tfcam.ops.layout import Layout

#: The position of the input that names the axis, of operations that join, divide or pick along one.
_AXIS_INPUTS = {"ConcatV2": -1, "Split": 0, "SplitV": 2, "GatherV2": 2}
#: Families of operations in a function that compute no cells.
_WITHOUT_CELLS = ("call", "shape", "constant")
#: How many cells away the kernel of a resizing ends; 0: it takes the nearest cell.
_RADII = {"ResizeNearestNeighbor": 0, "ResizeBilinear": 1, "ResizeBicubic": 2}


@dataclass(frozen=True)
class _Step:
    """An operation on a grid.

    Attributes
    ----------
    operation : tf.Operation
    tensor : tf.Tensor
        Its input that has the grid.
    layout : Layout
        How that is a grid.
    sizes : list of (int or None)
        Those of the grid, None where they are open.
    """

    operation: tf.Operation
    tensor: tf.Tensor
    layout: Layout
    sizes: list[int | None]

    @property
    def positions(self) -> list[int]:
        """Which axes of the tensor are those of the grid."""
        positions, rank = list(range(self.tensor.shape.rank)), len(self.sizes)
        if len(positions) == rank + 1:
            return positions[1:]
        return [position for position in self.layout.grid(positions) if position is not None][-rank:]

    def constants(self) -> list[Any]:
        """Return the values of the operation's other inputs, as lists; None where they are not constant."""
        values = [tf.get_static_value(tensor) for tensor in self.operation.inputs[1:]]
        return [None if value is None else value.tolist() for value in values]

    def along_grid(self, values: Sequence[Any]) -> list[Any]:
        """Return the values for the axes of the grid, of one for each axis of the tensor."""
        return [values[position] for position in self.positions]


def axis_rules(
    operation: tf.Operation,
    functions: Functions,
    tensors: list[tf.Tensor],
    layout: Layout,
    kernels: list[tf.TensorShape],
    axes: Sequence[Axis],
) -> Rules:
    """Return the rules from a tensor's axes to those after an operation; None where there is no such way.

    Parameters
    ----------
    operation, functions
        The operation, and what those run that call functions.
    tensors : list of tf.Tensor
        Those of its inputs that have a grid of these `axes`, in this `layout`.
    kernels : list of tf.TensorShape
        The shapes of the others.
    """
    node = functions.sliding_node(operation)
    if node is not None:
        rules = sliding_rules(operation, node, kernels, axes)
        others = {kind for kind, _ in functions.operations(operation)} - {node.op}
        others = {kind for kind in others if not (op_type(kind).reach or op_type(kind).family in _WITHOUT_CELLS)}
        if not others or rules is None:
            return rules
        # What else moves cells inside of a function is seen, but not by how far.
        return [_without_place(rule) for rule in rules] if others <= _RULES.keys() else None
    tensor, rank = tensors[0], len(axes)
    step = _Step(operation, tensor, layout, [axis.size for axis in axes])
    if operation.type in _RULES:
        return _RULES[operation.type](step) if len(step.positions) == rank else None
    if op_type(operation).family == "matrix product":
        # A Dense layer on each cell, where the other factor is a matrix of weights; else an attention.
        is_dense = len(tensors) == len(kernels) == 1 and tensor.op is operation.inputs[0].op
        return [_stay] * rank if is_dense and operation.type != "Einsum" else None
    return [_stay] * rank if _keeps_cells(step) else None


def _keeps_cells(step: _Step) -> bool:
    """Whether an operation computes each cell of its output from the same cell of its input."""
    operation, rank = step.operation, step.tensor.shape.rank
    row = op_type(operation)
    if row.family == "reduction":
        axes = tf.get_static_value(operation.inputs[1])
        return axes is not None and {int(axis) % rank for axis in axes.ravel()} == {rank - 1}
    if operation.type == "Reshape":
        return keeps_channels(operation)
    if operation.type == "Transpose":
        order = tf.get_static_value(operation.inputs[1])
        # Of tokens ``(N, T, C)`` it is a matrix's: all tokens are multiplied next.
        is_of_layout = rank > 3 and transposed_layout(operation) is not None
        return order is not None and (is_of_layout or list(order) == list(range(rank)))
    if operation.type in _AXIS_INPUTS:
        if operation.type == "GatherV2" and step.tensor.op is not operation.inputs[0].op:
            return True
        axis = tf.get_static_value(operation.inputs[_AXIS_INPUTS[operation.type]])
        return axis is not None and int(axis) % rank not in step.positions
    # What mixes channels mixes the last axis, and where channels stand in front that is one of the grid.
    mixes_grid = row.reach == "cell" and operation.outputs[0].shape.rank - 1 in step.positions
    return row.rearranges or (row.reach != "" and not mixes_grid)


def _stay(axis: Axis) -> Axis | None:
    return axis


def _without_place(rule: Rule) -> Rule:
    def rule_without_place(axis: Axis) -> Axis | None:
        result = rule(axis)
        return result and replace(result, is_placed=False)

    return rule_without_place


def _somewhere(step: _Step) -> Rules:
    """Return the rules where cells are added or left out, and it is not known how many."""
    return [through(Window.convolution(), None, is_placed=False)] * len(step.sizes)


def _padding_rules(step: _Step) -> Rules:
    paddings = step.constants()[0]
    if paddings is None:
        return _somewhere(step)
    return [
        through(Window.convolution(padding=pads[0]), size and size + sum(pads))
        for pads, size in zip(step.along_grid(paddings), step.sizes, strict=True)
    ]


def _slice_rules(step: _Step) -> Rules:
    """Return the rules of ``x[:, a:b:c]``, and of ``tf.slice``."""
    index, rank = slice_index(step.operation), step.tensor.shape.rank
    if index is None or not all(part is Ellipsis or isinstance(part, slice) for part in index):
        strides = step.constants()[-1] if step.operation.type == "StridedSlice" else [1]
        return _somewhere(step) if strides is not None and set(strides) == {1} else None
    position = index.index(Ellipsis) if Ellipsis in index else len(index)
    rest = [slice(None)] * (rank - len(index) + (Ellipsis in index))
    slices = step.along_grid([*index[:position], *rest, *index[position + 1 :]])
    return [_slice_rule(part, size) for part, size in zip(slices, step.sizes, strict=True)]


def _slice_rule(part: slice, size: int | None) -> Rule:
    stride = part.step or 1
    if stride < 1:
        return lambda _: None
    if size is not None:
        cells = range(*part.indices(size))
        return through(Window.convolution(padding=-cells.start, stride=stride), len(cells))
    start = part.start or 0
    return through(Window.convolution(padding=-start, stride=stride), None, is_placed=start >= 0)


def _fold_rules(step: _Step) -> Rules:
    """Return the rules to or from every n-th cell, with the others in the batch: how dilations are computed."""
    blocks, pads = step.constants()
    if blocks is None or pads is None or len(blocks) > len(step.sizes):
        return None
    is_back = step.operation.type == "BatchToSpaceND"
    sign, rest = -1 if is_back else 1, len(step.sizes) - len(blocks)
    rules: list[Rule] = [_stay] * rest
    for block, (before, after), size in zip(blocks, pads, step.sizes[rest:], strict=True):
        window = Window.convolution(padding=sign * before)
        rules.append(through(window, size and size + sign * (before + after), folds=1 if is_back else block))
    return rules


def _resize_rules(step: _Step) -> Rules:
    sizes, output_sizes = step.sizes, step.along_grid(step.operation.outputs[0].shape.as_list())
    if None in output_sizes or None in sizes:
        return None
    centre = Fraction(1, 2) if step.operation.get_attr("half_pixel_centers") else Fraction(0)
    rules = []
    for size, output_size in zip(filter(None, sizes), output_sizes, strict=True):
        corners = int(step.operation.get_attr("align_corners") and output_size > 1)
        scale = Fraction(size - corners, output_size - corners)
        # The size afterwards is fixed, so that the size of the input decides nothing further on: a modulus of 1.
        window = Window.resize(scale, _RADII[step.operation.type], centre)
        rules.append(through(window, output_size, modulus=1))
    return rules


def _repetition_rules(step: _Step) -> Rules:
    """Return the rules where each cell is repeated, along a new axis right after that of the cells."""
    source, output = step.tensor.op, step.operation.outputs[0]
    axis = tf.get_static_value(source.inputs[1]) if source.type == "ExpandDims" else None
    if axis is None:
        return None
    new = int(axis) % step.tensor.shape.rank
    times, grid_axis = output.shape[new], new - 2
    if times is None or not 0 <= grid_axis < len(step.sizes):
        return None
    rules: list[Rule] = [_stay] * len(step.sizes)
    size = step.sizes[grid_axis]
    rules[grid_axis] = through(Window.repetition(times), size and size * times)
    return rules


def _block_rules(step: _Step) -> Rules:
    """Return the rules where blocks of cells become channels, or the reverse."""
    block = step.operation.get_attr("block_size")
    if step.operation.type == "DepthToSpace":
        return [through(Window.repetition(block), size and size * block) for size in step.sizes]
    return [through(Window.convolution(block, block), size and size // block) for size in step.sizes]


_RULES: dict[str, Callable[[_Step], Rules]] = {
    **dict.fromkeys(("Pad", "PadV2", "MirrorPad"), _padding_rules),
    **dict.fromkeys(("SpaceToBatchND", "BatchToSpaceND"), _fold_rules),
    **dict.fromkeys(("DepthToSpace", "SpaceToDepth"), _block_rules),
    **dict.fromkeys(_RADII, _resize_rules),
    **dict.fromkeys(("StridedSlice", "Slice"), _slice_rules),
    "Tile": _repetition_rules,
}
