"""The window of each operation along each axis: convolutions, poolings, paddings, slices, resizings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

from tfcam.graph.op_types import op_type
from tfcam.graph.receptive_axis import Axis, Window
from tfcam.graph.traversal import Functions, keeps_channels
from tfcam.ops.layout import Layout, find_layout

#: From an axis to that behind an operation; None where its cells are lost.
Rule: TypeAlias = Callable[[Axis], Axis | None]
#: One for each axis of the grid; None where there is no such way.
Rules: TypeAlias = list[Rule] | None
#: Those of a grid, None where they are open.
Sizes: TypeAlias = list[int | None]

_CELL_BY_CELL = {
    *("Identity", "IdentityN", "Cast", "Squeeze", "ExpandDims", "StopGradient", "ZerosLike", "OnesLike"),
    *("Relu", "Relu6", "LeakyRelu", "Elu", "Selu", "Sigmoid", "Tanh", "Softplus", "Softsign", "Softmax", "LogSoftmax"),
    *("Exp", "Expm1", "Log", "Log1p", "Sqrt", "Rsqrt", "Square", "SquaredDifference", "Abs", "Neg", "Pow", "Erf"),
    *("Add", "AddV2", "AddN", "Sub", "Mul", "Div", "RealDiv", "DivNoNan", "Maximum", "Minimum", "SelectV2", "Greater"),
    *("GreaterEqual", "Less", "LessEqual", "Erfc", "BiasAdd", "FusedBatchNorm", "FusedBatchNormV3", "LRN"),
    "ResourceGather",
}
#: How many cells away the kernel of a resizing ends; 0: it takes the nearest cell.
_RADII = {"ResizeNearestNeighbor": 0, "ResizeBilinear": 1, "ResizeBicubic": 2}
#: Which input names the axis, of operations that join, take apart or pick along one.
_AXIS_INPUTS = {"ConcatV2": -1, "Split": 0, "SplitV": 2, "GatherV2": 2}


def axis_rules(
    operation: tf.Operation,
    functions: Functions,
    given: list[tf.Tensor],
    layout: Layout,
    kernels: list[tf.TensorShape],
    axes: Sequence[Axis],
) -> Rules:
    """Return the rules from a tensor's axes to those after an operation; None where there is no such way.

    Parameters
    ----------
    operation, functions
        The operation, and what those run that call functions.
    given : list of tf.Tensor
        Those of its inputs that have a grid of these `axes`, in this `layout`.
    kernels : list of tf.TensorShape
        The shapes of the others.
    """
    rank, tensor, sizes = len(axes), given[0], [axis.size for axis in axes]
    if (node := functions.sliding_node(operation)) is not None:
        windows = _windows(operation, node, kernels, axes)
        # What else moves cells inside of a function is seen, but not by how far.
        is_alone = node.op == operation.type or not any(kind in _READERS for kind, _ in functions.operations(operation))
        return windows if is_alone or windows is None else [_unplaced(rule) for rule in windows]
    if operation.type in ("MatMul", "BatchMatMulV2"):
        # A Dense layer on each cell, where one of the two is a matrix of weights; else an attention.
        stays = len(given) == len(kernels) == 1 and tensor.op is operation.inputs[0].op
    elif operation.type in _READERS:
        places = _grid_axes(tensor, layout, rank)
        return _READERS[operation.type](operation, tensor, places, sizes) if len(places) == rank else None
    else:
        stays = _keeps_cells(operation, tensor, layout, sizes)
    return [_stay] * rank if stays else None


def _grid_axes(tensor: tf.Tensor, layout: Layout, rank: int) -> list[int]:
    """Return which axes of a tensor are those of the grid."""
    axes = list(range(tensor.shape.rank))
    return axes[1:] if len(axes) == rank + 1 else [axis for axis in layout.grid(axes) if axis is not None][-rank:]


def _stay(axis: Axis) -> Axis | None:
    return axis


def _through(window: Window, size: int | None, is_placed: bool = True) -> Rule:
    return lambda axis: axis.through(window, size, is_placed)


def _unplaced(rule: Rule) -> Rule:
    return lambda axis: (moved := rule(axis)) and replace(moved, is_placed=False)


def _windows(operation: tf.Operation, node: Any, kernels: list[tf.TensorShape], axes: Sequence[Axis]) -> Rules:
    """Return the rules of a convolution or pooling that `node` describes."""
    rank, sizes = len(axes), [axis.size for axis in axes]
    if op_type(node.op).family == "pooling":
        kernel = _spatial(node.attr["ksize"].list.i, node)
    elif "ksizes" in node.attr:
        kernel = _spatial(node.attr["ksizes"].list.i, node)
    else:
        # A kernel has the axes of the grid, and two of channels.
        found = [shape.as_list()[:-2] for shape in kernels if shape.rank and shape.rank > 2]
        kernel = found[0] if found else []
    strides = _spatial(node.attr["strides"].list.i, node)
    dilations = _spatial(node.attr["rates" if "rates" in node.attr else "dilations"].list.i, node)
    dilations = dilations or [1] * len(kernel)
    if None in kernel or len(kernel) < rank:
        return None
    dilations[-rank:] = [dilation * axis.folds for dilation, axis in zip(dilations[-rank:], axes, strict=True)]
    pairs = np.reshape(node.attr["explicit_paddings"].list.i, (-1, 2)).tolist() or [[0, 0]] * (len(kernel) + 2)
    explicit = _spatial(pairs, node)
    padding = node.attr["padding"].s.decode()
    # A convolution of series is one of images of a single row to TensorFlow.
    each = zip(kernel[-rank:], strides[-rank:], dilations[-rank:], explicit[-rank:], sizes, strict=True)
    if "Backprop" not in node.op:
        return [_slide(k, stride, dilation, padding, sum(pad), pad[0], n) for k, stride, dilation, pad, n in each]
    layout = find_layout(node.attr["data_format"].s.decode()) or Layout(-1)
    output = layout.grid(operation.outputs[0].shape.as_list())[-rank:]
    return [
        _spread(k, stride, dilation, padding, n, made)
        for (k, stride, dilation, _, n), made in zip(each, output, strict=True)
    ]


def _slide(kernel: int, stride: int, dilation: int, padding: str, both: int, left: int, size: int | None) -> Rule:
    wide = (kernel - 1) * dilation + 1
    is_placed = True
    if padding == "SAME":
        # TensorFlow's rule: as many cells as strides fit in, the odd one of the padding at the end.
        over = 0 if size is None else size % stride
        both = max(wide - (over or stride), 0)
        left, is_placed = both // 2, size is not None or stride == 1
    new_size = None if size is None else (size + both - wide) // stride + 1
    if padding == "SAME" and size is not None:
        new_size = -(-size // stride)
    return _through(Window.sliding(kernel, stride, left, dilation), new_size, is_placed)


def _spread(kernel: int, stride: int, dilation: int, padding: str, size: int | None, made: int | None) -> Rule:
    wide = (kernel - 1) * dilation + 1
    if made is None and size is not None:
        made = size * stride + (max(wide - stride, 0) if padding == "VALID" else 0)
    both = max(wide - stride, 0) if made is None or size is None else max((size - 1) * stride + wide - made, 0)
    left = both // 2 if padding == "SAME" else 0
    return _through(Window.spread(kernel, stride, left, dilation), made, made is not None or padding == "VALID")


def _padded(operation: tf.Operation, tensor: tf.Tensor, axes: Sequence[int], sizes: Sizes) -> Rules:
    paddings = tf.get_static_value(operation.inputs[1])
    if paddings is None:
        return [_through(Window.sliding(), None, is_placed=False)] * len(sizes)
    pairs = [[int(pad) for pad in paddings[axis]] for axis in axes]
    return [
        _through(Window.sliding(padding=pad[0]), None if n is None else n + sum(pad))
        for pad, n in zip(pairs, sizes, strict=True)
    ]


def _sliced(operation: tf.Operation, tensor: tf.Tensor, axes: Sequence[int], sizes: Sizes) -> Rules:
    """Return the rules of ``x[:, a:b:c]``."""
    starts, ends, strides = (tf.get_static_value(given) for given in operation.inputs[1:])
    if strides is None:
        return None
    names = ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
    masks = {name: operation.get_attr(f"{name}_mask") for name in names}
    if masks["new_axis"] or masks["shrink_axis"] or starts is None or ends is None:
        return [_through(Window.sliding(), None, is_placed=False)] * len(sizes) if (strides == 1).all() else None
    taken: list[slice] = []
    for i in range(len(strides)):
        if masks["ellipsis"] >> i & 1:
            taken += [slice(None)] * (tensor.shape.rank - len(strides) + 1)
        else:
            start = None if masks["begin"] >> i & 1 else int(starts[i])
            end = None if masks["end"] >> i & 1 else int(ends[i])
            taken.append(slice(start, end, int(strides[i])))
    taken += [slice(None)] * (tensor.shape.rank - len(taken))
    return [_taken(taken[axis], n) for axis, n in zip(axes, sizes, strict=True)]


def _taken(part: slice, size: int | None) -> Rule:
    step = part.step or 1
    if step < 1:
        return lambda _: None
    if size is not None:
        cells = range(*part.indices(size))
        return _through(Window.sliding(padding=-cells.start, step=step), len(cells))
    start = part.start or 0
    return _through(Window.sliding(padding=-start, step=step), None, is_placed=start >= 0)


def _cut(operation: tf.Operation, tensor: tf.Tensor, axes: Sequence[int], sizes: Sizes) -> Rules:
    starts, lengths = (tf.get_static_value(given) for given in operation.inputs[1:])
    if starts is None or lengths is None:
        return None
    return [
        _taken(slice(int(starts[axis]), None if lengths[axis] < 0 else int(starts[axis] + lengths[axis])), n)
        for axis, n in zip(axes, sizes, strict=True)
    ]


def _folded(operation: tf.Operation, tensor: tf.Tensor, axes: Sequence[int], sizes: Sizes) -> Rules:
    """Return the rules to, or from, every n-th cell with the others in the batch: how dilations are computed."""
    blocks, ends = (tf.get_static_value(given) for given in operation.inputs[1:])
    if blocks is None or ends is None or len(blocks) > len(sizes):
        return None

    is_back = operation.type == "BatchToSpaceND"

    def rule(block: int, before: int, after: int, size: int | None) -> Rule:
        before, after = (-before, -after) if is_back else (before, after)
        new_size = None if size is None else size + before + after
        window = Window.sliding(padding=before)
        return lambda axis: replace(axis.through(window, new_size), folds=1 if is_back else block)

    rest = len(sizes) - len(blocks)
    each = zip(blocks, ends, sizes[rest:], strict=True)
    return [*[_stay] * rest, *[rule(int(block), int(pair[0]), int(pair[1]), size) for block, pair, size in each]]


def _resized(operation: tf.Operation, tensor: tf.Tensor, axes: Sequence[int], sizes: Sizes) -> Rules:
    after = [operation.outputs[0].shape.as_list()[axis] for axis in axes]
    if None in after or None in sizes:
        return None
    middle = Fraction(1, 2) if operation.get_attr("half_pixel_centers") else Fraction(0)

    def rule(size: int, new_size: int) -> Rule:
        corners = int(operation.get_attr("align_corners") and new_size > 1)
        ratio = Fraction(size - corners, new_size - corners)
        window = Window.resampled(ratio, _RADII[operation.type], middle)
        # To one size whatever that of the input is, which then decides nothing further on.
        return lambda axis: replace(axis.through(window, new_size), modulus=1)

    return [rule(n, m) for n, m in zip(sizes, after, strict=True) if n and m]


def _repeated(operation: tf.Operation, tensor: tf.Tensor, axes: Sequence[int], sizes: Sizes) -> Rules:
    """Return the rules where each cell is repeated, which is done along a new axis right after that of the cells."""
    axis = tf.get_static_value(tensor.op.inputs[1]) if tensor.op.type == "ExpandDims" else None
    if axis is None:
        return None
    new = int(axis) % tensor.shape.rank
    times, repeated = operation.outputs[0].shape[new], new - 2
    if times is None or not 0 <= repeated < len(sizes):
        return None
    return [_through(Window.repeated(times), n and n * times) if i == repeated else _stay for i, n in enumerate(sizes)]


def _shuffled(operation: tf.Operation, tensor: tf.Tensor, axes: Sequence[int], sizes: Sizes) -> Rules:
    """Return the rules where blocks of cells become channels, or the reverse."""
    block = operation.get_attr("block_size")
    if operation.type == "DepthToSpace":
        return [_through(Window.repeated(block), n and n * block) for n in sizes]
    return [_through(Window.sliding(block, block), n and n // block) for n in sizes]


_READERS = {
    **dict.fromkeys(("Pad", "PadV2", "MirrorPad"), _padded),
    **dict.fromkeys(("SpaceToBatchND", "BatchToSpaceND"), _folded),
    **dict.fromkeys(("DepthToSpace", "SpaceToDepth"), _shuffled),
    **dict.fromkeys(_RADII, _resized),
    "StridedSlice": _sliced,
    "Slice": _cut,
    "Tile": _repeated,
}


def _spatial(values: Sequence[Any], node: Any) -> list[Any]:
    """Return the values for the axes of the grid, of an attribute that has one for each axis."""
    if not values:
        return []
    layout = find_layout(node.attr["data_format"].s.decode()) if "data_format" in node.attr else None
    return list(layout.grid(tuple(values)) if layout else values[1:-1])


def _keeps_cells(operation: tf.Operation, tensor: tf.Tensor, layout: Layout, sizes: Sizes) -> bool:
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
    if operation.type in _AXIS_INPUTS:
        if operation.type == "GatherV2" and tensor.op is not operation.inputs[0].op:
            return True
        axis = tf.get_static_value(operation.inputs[_AXIS_INPUTS[operation.type]])
        return axis is not None and int(axis) % before.rank not in _grid_axes(tensor, layout, len(sizes))
    return operation.type in _CELL_BY_CELL
