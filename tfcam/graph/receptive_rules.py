"""How each operation moves the cells of a grid: convolutions, poolings, paddings, slices, resizings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import tensorflow as tf

from tfcam.graph.axes import Origin, holds, place_of, size_of
from tfcam.graph.axis_origins import AxisOrigins
from tfcam.graph.op_types import op_type
from tfcam.graph.receptive_axis import Axis, Window
from tfcam.graph.receptive_sliding import Rule, Rules, sliding_rules, through
from tfcam.graph.traversal import Functions, full_index, slice_index

#: The position of the input that names the axis, of operations that join or divide along one.
_AXIS_INPUTS = {"ConcatV2": -1, "Split": 0, "SplitV": 2}
#: Operations that put copies beside each cell.
_REPEATS = ("Tile", "BroadcastTo")
#: Operations of the last axis alone.
_SPECTRA = ("FFT", "IFFT", "RFFT", "IRFFT")
#: Operations of each number of complex ones.
_COMPLEX = ("ComplexAbs", "Real", "Imag", "Complex", "Angle", "Conj")
#: Families of operations in a function that compute no cells.
_WITHOUT_CELLS = ("call", "shape", "constant")
#: How many cells away the kernel of a resizing ends; 0: it takes the nearest cell.
_RADII = {"ResizeNearestNeighbor": 0, "ResizeBilinear": 1, "ResizeBicubic": 2}


@dataclass(frozen=True)
class GridStep:
    """An operation on tensors that have the cells of some origins.

    Attributes
    ----------
    operation : tf.Operation
    functions : Functions
        What those run that call functions.
    tensors : list of tf.Tensor
        Those of its inputs that have these cells.
    kernels : list of tf.TensorShape
        The shapes of those that do not depend on the data.
    labels : AxisOrigins
    origins : tuple of Origin
        Those of the cells.
    axes : tuple of Axis
        What the cells see, along the axis of each origin.
    """

    operation: tf.Operation
    functions: Functions
    tensors: list[tf.Tensor]
    kernels: list[tf.TensorShape]
    labels: AxisOrigins
    origins: tuple[Origin, ...]
    axes: tuple[Axis, ...]

    @property
    def tensor(self) -> tf.Tensor:
        """The first of the tensors."""
        return self.tensors[0]

    @property
    def sizes(self) -> list[int | None]:
        """How many cells there are along each axis, None where that is open."""
        return [axis.size for axis in self.axes]

    def places(self, tensor: tf.Tensor) -> list[int | None]:
        """Return which axes of a tensor are those of the origins; None where one is not by itself."""
        return [place_of(self.labels[tensor].axes, origin) for origin in self.origins]

    @property
    def positions(self) -> list[int]:
        """Which axes of the first tensor are those of the grid."""
        places = self.places(self.tensor)
        return [] if None in places else places  # type: ignore[return-value]

    def constants(self) -> list[Any]:
        """Return the values of the operation's other inputs, as lists; None where they are not constant."""
        values = [tf.get_static_value(tensor) for tensor in self.operation.inputs[1:]]
        return [None if value is None else value.tolist() for value in values]

    def along_grid(self, values: Sequence[Any]) -> list[Any]:
        """Return the values for the axes of the grid, of one for each axis of the tensor."""
        return [values[position] for position in self.positions]


def axis_rules(step: GridStep) -> Rules:
    """Return the rules from the axes of a step to those after it; None where there is no such way."""
    operation, functions, rank = step.operation, step.functions, len(step.axes)
    if not all(holds(step.labels[operation.outputs[0]].axes, origin) for origin in step.origins):
        return None
    placed = [place is not None for place in step.places(step.tensor)]
    if any(placed) and not all(placed):
        return _separate_rules(step, placed)
    node = functions.sliding_node(operation)
    if node is not None:
        rules = sliding_rules(operation, node, step.kernels, step.positions, step.axes)
        others = {kind for kind, _ in functions.operations(operation)} - {node.op}
        others = {kind for kind in others if not (op_type(kind).reach or op_type(kind).family in _WITHOUT_CELLS)}
        if not others or rules is None:
            return rules
        # What else moves cells inside of a function is seen, but not by how far.
        return [_without_place(rule) for rule in rules] if others <= _RULES.keys() else None
    if operation.type in _RULES:
        is_told = step.positions or operation.type == "Reshape"
        return _RULES[operation.type](step) if is_told else [_stay] * rank if _passes(step) else None
    if op_type(operation).family == "matrix product":
        # A Dense layer on each cell, where one factor has no cells; else an attention.
        return [_stay] * rank if len(step.tensors) == 1 else None
    return [_stay] * rank if _keeps_cells(step) else None


def _separate_rules(step: GridStep, placed: list[bool]) -> Rules:
    """Return the rules where some axes are folded with others, as frames are with the batch: these must pass."""
    rules: list[Rule] = []
    for origin, axis, is_placed in zip(step.origins, step.axes, placed, strict=True):
        one = replace(step, origins=(origin,), axes=(axis,))
        own = axis_rules(one) if is_placed else [_stay] if _passes(one) else None
        if own is None:
            return None
        rules += own
    return rules


def _passes(step: GridStep) -> bool:
    """Whether the axes that have the cells among others pass an operation as they are."""
    before, after = (step.labels[tensor].axes for tensor in (step.tensor, step.operation.outputs[0]))
    return all(
        [one for one in before if holds([one], o)] == [one for one in after if holds([one], o)] for o in step.origins
    )


def _keeps_cells(step: GridStep) -> bool:
    """Whether an operation computes each cell of its output from the same cell of its input."""
    operation, labels = step.operation, step.labels
    row, places = op_type(operation), step.places(step.tensor)
    if row.family == "reduction":
        axes = tf.get_static_value(operation.inputs[1])
        before = labels[step.tensor].axes
        gone = None if axes is None else [before[int(axis) % len(before)] for axis in axes.ravel()]
        return gone is not None and not any(holds(gone, origin) for origin in step.origins)
    if operation.type in _AXIS_INPUTS:
        axis = tf.get_static_value(operation.inputs[_AXIS_INPUTS[operation.type]])
        return axis is not None and int(axis) % len(labels[step.tensor].axes) not in places
    # What mixes channels mixes the last axis, and where channels stand in front that is one of the grid.
    last = labels[operation.outputs[0]].axes[-1:]
    mixes_grid = row.reach == "cell" and any(holds(last, origin) for origin in step.origins)
    if operation.type in (*_REPEATS, *_COMPLEX, *_SPECTRA):
        return operation.type not in _SPECTRA or not any(holds(last, origin) for origin in step.origins)
    return row.rearranges or (row.reach != "" and not mixes_grid)


def _stay(axis: Axis) -> Axis | None:
    return axis


def _without_place(rule: Rule) -> Rule:
    def rule_without_place(axis: Axis) -> Axis | None:
        result = rule(axis)
        return result and replace(result, is_placed=False)

    return rule_without_place


def _somewhere(step: GridStep) -> Rules:
    """Return the rules where cells are added or left out, and it is not known how many."""
    return [through(Window.convolution(), None, is_placed=False)] * len(step.sizes)


def _padding_rules(step: GridStep) -> Rules:
    paddings = step.constants()[0]
    if paddings is None:
        return _somewhere(step)
    return [
        through(Window.convolution(padding=pads[0]), size and size + sum(pads))
        for pads, size in zip(step.along_grid(paddings), step.sizes, strict=True)
    ]


def _slice_rules(step: GridStep) -> Rules:
    """Return the rules of ``x[:, a:b:c]``, and of ``tf.slice``."""
    index, rank = slice_index(step.operation), len(step.labels[step.tensor].axes)
    if index is None:
        strides = step.constants()[-1] if step.operation.type == "StridedSlice" else [1]
        return _somewhere(step) if strides is not None and set(strides) == {1} else None
    slices = step.along_grid([part for part in full_index(index, rank) if part is not None])
    if not all(isinstance(part, slice) for part in slices):
        return None
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


def _fold_rules(step: GridStep) -> Rules:
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


def _resize_rules(step: GridStep) -> Rules:
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


def _reshape_rules(step: GridStep) -> Rules:
    """Return the rules where what stands at each cell, such as repetitions of it, becomes cells of its own."""
    rules: list[Rule] = []
    output = step.operation.outputs[0]
    for axis, before, after in zip(step.axes, step.places(step.tensor), step.places(output), strict=True):
        if before is None or after is None:
            rules.append(_stay)
            continue
        sizes = size_of(step.labels[step.tensor].axes[before]), size_of(step.labels[output].axes[after])
        if sizes[1] % sizes[0]:
            return None
        times = sizes[1] // sizes[0]
        rules.append(through(Window.repetition(times), axis.size and axis.size * times) if times > 1 else _stay)
    return rules


def _block_rules(step: GridStep) -> Rules:
    """Return the rules where blocks of cells become channels, or the reverse."""
    block = step.operation.get_attr("block_size")
    if step.operation.type == "DepthToSpace":
        return [through(Window.repetition(block), size and size * block) for size in step.sizes]
    return [through(Window.convolution(block, block), size and size // block) for size in step.sizes]


def _gather_rules(step: GridStep) -> Rules:
    """Return the rules where cells are looked up by a table: one evenly spaced, or windows of them, such as frames."""
    position, indices = (step.labels.value(tensor) for tensor in reversed(step.operation.inputs[1:]))
    if step.tensor.op is not step.operation.inputs[0].op:
        return [_stay] * len(step.axes)
    place = None if position is None else int(position) % len(step.labels[step.tensor].axes)
    if place is None or place not in step.positions:
        return None if place is None else [_stay] * len(step.axes)
    if indices is None or indices.ndim not in (1, 2) or None in step.sizes:
        return None
    table = indices.reshape(len(indices), -1)
    window = Window((tuple(table[0].tolist()),), int(table[1, 0] - table[0, 0]) if len(table) > 1 else 1)
    rule = through(window, len(table))
    return [rule if own == place else _stay for own in step.positions]


_RULES: dict[str, Callable[[GridStep], Rules]] = {
    **dict.fromkeys(("Pad", "PadV2", "MirrorPad"), _padding_rules),
    **dict.fromkeys(("SpaceToBatchND", "BatchToSpaceND"), _fold_rules),
    **dict.fromkeys(("DepthToSpace", "SpaceToDepth"), _block_rules),
    **dict.fromkeys(_RADII, _resize_rules),
    **dict.fromkeys(("StridedSlice", "Slice"), _slice_rules),
    "Reshape": _reshape_rules,
    "GatherV2": _gather_rules,
}
