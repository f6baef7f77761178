"""What operations that move entries make of axes: reshapes, slices, stacks, look-ups."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf

from tfcam.graph.axes import NONE, REPETITION, Axis, is_free, lost, merged, origin_of, reshaped, size_of, whole
from tfcam.graph.axis_cuts import concatenation, cut_out, rolled
from tfcam.graph.axis_labels import Labels, Step, Untold, entrywise, entrywise_of, need, replaced
from tfcam.graph.receptive_axis import Window
from tfcam.graph.receptive_sliding import Rule, cut, somewhere
from tfcam.graph.traversal import full_index, slice_index


def _reshape(step: Step) -> list[Axis]:
    total, target = math.prod(step.inputs[0].sizes), step.numbers(1)
    if target is None:
        target = [size or -1 for size in step.operation.outputs[0].shape.as_list()]
    if target.count(-1) > 1:
        raise Untold
    rest = total // math.prod(size for size in target if size != -1)
    sizes = [rest if size == -1 else size for size in target]
    if math.prod(sizes) != total or 0 in sizes:
        raise Untold
    return reshaped(step.first, sizes, step.name)


def _squeeze(step: Step) -> list[Axis]:
    rank = len(step.first)
    dims = {axis % rank for axis in step.operation.get_attr("squeeze_dims")}
    dims = dims or {position for position, size in enumerate(step.inputs[0].sizes) if size == 1}
    return [axis for position, axis in enumerate(step.first) if position not in dims]


def _expand(step: Step) -> list[Axis]:
    position = int(need(step.value(1)))
    result = list(step.first)
    result.insert(position + (len(result) + 1 if position < 0 else 0), ())
    return result


def _transpose(step: Step) -> list[Axis]:
    return [step.first[position] for position in need(step.numbers(1))]


def _slice(step: Step) -> Labels:
    values = [step.value(position) for position in range(1, len(step.operation.inputs))]
    index: list[Any] = need(None if any(value is None for value in values) else slice_index(step.operation, values))
    axes, result, picks = iter(step.first), list[Axis](), dict(step.inputs[0].picks)
    is_certain = step.is_certain(*range(1, len(step.operation.inputs)))
    for part in full_index(index, len(step.first)):
        axis = () if part is None else next(axes)
        if part is None:
            result.append(axis)
        elif isinstance(part, slice):
            rule = cut(part) if is_certain else None if part.step not in (None, 1) else somewhere
            result.append(cut_out(axis, range(*part.indices(size_of(axis))), step.name, rule))
        elif not is_free(axis):
            picks[axis] = part % size_of(axis)
    return Labels(tuple(result), picks)


def _unpack(step: Step) -> list[Labels]:
    position = step.operation.get_attr("axis") % len(step.first)
    axis, axes = step.first[position], replaced(step.first, position)
    picks = step.inputs[0].picks
    return [Labels(tuple(axes), picks if is_free(axis) else {**picks, axis: number}) for number in range(size_of(axis))]


def _slice_of(cells: range) -> slice:
    return slice(cells.start, None if cells.stop < 0 else cells.stop, cells.step)


def _pack(step: Step) -> Labels:
    """Return the axes of stacked tensors; parts of one axis, evenly spaced, are that axis again."""
    axes, count = entrywise(step), len(step.inputs)
    position = step.operation.get_attr("axis") % (len(axes) + 1)
    common = Labels.of(axes, *step.inputs)
    found: Axis = whole(NONE, count)
    for axis in step.inputs[0].picks.keys() - common.picks.keys():
        places: list[Any] = [labels.picks.get(axis) for labels in step.inputs]
        if all(isinstance(place, int) for place in places):
            steps = set(np.diff(places).tolist())
            if len(steps) == 1 and (stride := steps.pop()):
                cells = range(places[0], places[-1] + stride, stride)
                found = cut_out(axis, cells, step.name, None if step.is_open else cut(_slice_of(cells)))
    axes.insert(position, found)
    return replace(common, axes=tuple(axes))


def _concatenate(step: Step) -> list[Axis]:
    position = need(step.value(len(step.inputs) - 1))
    parts = [labels.axes for labels in step.inputs[:-1]]
    position = int(position) % len(parts[0])
    pieces = [axes[position] for axes in parts]
    turn = _turn(step, position) if len(pieces) == 2 else None
    together = concatenation(pieces) if turn is None else rolled(_uncut(pieces), turn, step.name)
    return replaced(entrywise_of(step, [replaced(axes, position, ()) for axes in parts]), position, together)


def _uncut(pieces: Sequence[Axis]) -> Axis:
    """Return the axis that pieces were cut from."""
    origins = {origin_of(axis[0]) if len(axis) == 1 else None for axis in pieces}
    origin, is_one = next(iter(origins)), len(origins) == 1
    return whole(origin, sum(map(size_of, pieces))) if origin and is_one else concatenation(pieces)


def _turn(step: Step, position: int) -> int | None:
    """Return how far cells move where the end of a tensor is put before its beginning, a roll by hand; else None."""
    end, start = (tensor.op for tensor in step.operation.inputs[:2])
    last, first = _cut_along(end, position), _cut_along(start, position)
    if last is None or first is None or end.inputs[0] is not start.inputs[0]:
        return None
    is_turned = (last.stop, first.start) == (None, None) and last.start == first.stop and last.step == first.step == 1
    return -last.start if is_turned else None


def _cut_along(operation: tf.Operation, position: int) -> slice | None:
    """Return the slice that an operation takes along one axis; None where it is none, or cuts others too."""
    index = slice_index(operation)
    parts = [] if index is None else full_index(index, operation.inputs[0].shape.rank)
    others = [part for number, part in enumerate(parts) if number != position]
    is_one = len(parts) > position and all(part in (slice(None), slice(None, None, 1)) for part in others)
    return parts[position] if is_one and isinstance(parts[position], slice) else None


def _split(step: Step) -> list[Labels]:
    tensor, axis = (1, 0) if step.kind == "Split" else (0, 2)
    labels = step.inputs[tensor]
    position = int(need(step.value(axis))) % len(labels.axes)
    whole_axis, count = labels.axes[position], len(step.operation.outputs)
    size = size_of(whole_axis)
    sizes = [size // count] * count if step.kind == "Split" else need(step.numbers(1))
    sizes = [size - sum(sizes) - 1 if one == -1 else one for one in sizes]
    ends = np.cumsum(sizes).tolist()
    ranges = [range(end - one, end) for one, end in zip(sizes, ends, strict=True)]
    rules = [None if step.is_open else cut(_slice_of(cells)) for cells in ranges]
    cuts = [
        replaced(labels.axes, position, cut_out(whole_axis, cells, step.name, rule))
        for cells, rule in zip(ranges, rules, strict=True)
    ]
    return [Labels.of(axes, labels) for axes in cuts]


def _gather(step: Step) -> Labels:
    """Return the axes of entries that are looked up: evenly spaced ones are a slice, a table of them windows."""
    if step.operation.get_attr("batch_dims"):
        raise Untold
    position, indices = int(need(step.value(2))) % len(step.first), step.value(1)
    axis, chosen = step.first[position], list(step.inputs[1].axes)
    picks = dict(step.inputs[0].picks)
    if is_free(axis):
        return Labels(tuple(replaced(step.first, position, *chosen)), picks)
    if indices is None:
        index = step.operation.inputs[1]
        if not chosen:
            picks[axis] = index.name
        return Labels(tuple(replaced(step.first, position, *(lost(size_of(one), step.name) for one in chosen))), picks)
    size = size_of(axis)
    if indices.ndim == 0:
        picks[axis] = int(indices) % size
        return Labels(tuple(replaced(step.first, position)), picks)
    starts = np.ravel(indices.reshape(len(indices), -1)[:, 0] % size)
    steps = set(np.diff(starts).tolist()) or {1}
    offsets = (starts - starts[0]).reshape(-1, *[1] * (indices.ndim - 1))
    if len(steps) > 1 or 0 in steps or not np.array_equal(indices, indices[:1] + offsets):
        return Labels(tuple(replaced(step.first, position, *(lost(n, step.name) for n in indices.shape))), picks)
    stride = steps.pop()
    cells = range(int(starts[0]), int(starts[-1]) + (1 if stride > 0 else -1), stride)
    windows = (whole(NONE, n) for n in indices.shape[1:])
    window = Window((tuple(np.ravel(indices[0]).tolist()),), stride)
    rule: Rule | None = lambda axis: axis.through(window, len(cells))  # noqa: E731
    cells_axis = cut_out(axis, cells, step.name, None if step.is_open or stride < 1 else rule)
    return Labels(tuple(replaced(step.first, position, cells_axis, *windows)), picks)


def _look_up(step: Step) -> list[Axis]:
    return [*step.inputs[1].axes, *step.first[1:]]


def _tile(step: Step) -> list[Axis]:
    times = need(step.numbers(1))
    return [_repeated(axis, count) for axis, count in zip(step.first, times, strict=True)]


def _repeated(axis: Axis, times: int) -> Axis:
    if times == 1:
        return axis
    if is_free(axis):
        return whole(REPETITION if not axis else NONE, size_of(axis) * times)
    # One axis after the other: which of them is the slowest digit.
    return merged([*whole(REPETITION, times), *axis])


def _broadcast(step: Step) -> list[Axis]:
    sizes = need(step.numbers(1))
    axes: list[Axis] = [()] * (len(sizes) - len(step.first)) + list(step.first)
    return [axis if size_of(axis) == size else whole(REPETITION, size) for axis, size in zip(axes, sizes, strict=True)]


def _reverse(step: Step) -> list[Axis]:
    reverse = {axis % len(step.first) for axis in need(step.numbers(1))}
    return [
        cut_out(axis, range(size_of(axis) - 1, -1, -1), step.name) if position in reverse else axis
        for position, axis in enumerate(step.first)
    ]


def _roll(step: Step) -> list[Axis]:
    result = list(step.first)
    for shift, axis in zip(need(step.numbers(1)), need(step.numbers(2)), strict=True):
        result[axis] = rolled(result[axis], shift, step.name)
    return result


#: By the type of the operation.
MOVES: dict[str, Callable[[Step], Any]] = {
    "Identity": lambda step: step.inputs[0],
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "ExpandDims": _expand,
    "Transpose": _transpose,
    "Unpack": _unpack,
    "Pack": _pack,
    "ConcatV2": _concatenate,
    "GatherV2": _gather,
    "ResourceGather": _look_up,
    "Tile": _tile,
    "BroadcastTo": _broadcast,
    "ReverseV2": _reverse,
    "Roll": _roll,
    **dict.fromkeys(("StridedSlice", "Slice"), _slice),
    **dict.fromkeys(("Split", "SplitV"), _split),
}
