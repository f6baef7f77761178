"""Axes that are joined, cut and moved along themselves."""

from __future__ import annotations

from collections.abc import Sequence

from tfcam.graph.axes import NONE, Axis, Joined, Moved, is_free, lost, merged, size_of, whole


def concatenation(axes: Sequence[Axis]) -> Axis:
    """Return the axis of axes one after the other."""
    parts: list[Axis] = []
    for axis in axes:
        inner = axis[0].origin.parts if len(axis) == 1 and isinstance(axis[0].origin, Joined) else (axis,)
        for part in inner:
            if parts and is_free(part) and is_free(parts[-1]):
                parts[-1] = whole(NONE, size_of(parts[-1]) + size_of(part))
            else:
                parts.append(part)
    if len(parts) == 1:
        return parts[0]
    return whole(Joined(tuple(parts)), sum(map(size_of, parts)))


def cut_out(axis: Axis, cells: range, operation: str) -> Axis:
    """Return the axis of a slice, of these cells of an axis."""
    size, count = size_of(axis), len(cells)
    if cells == range(size):
        return axis
    if is_free(axis):
        return whole(NONE, count)
    if not count:
        return whole(NONE, 0)
    if len(axis) == 1 and isinstance(axis[0].origin, Joined) and cells.step == 1:
        return _cut_out_of_parts(axis[0].origin.parts, cells, operation)
    if cells == range(size - 1, -1, -1) and len(axis) == 1 and axis[0].is_whole:
        origin = axis[0].origin
        back = isinstance(origin, Moved) and origin.shift is None
        return whole(origin.parent if isinstance(origin, Moved) and back else Moved(origin, None), size)
    first, *others = axis
    inner = size_of(tuple(others))
    if cells.step > 0 and not isinstance(first.origin, Joined):
        if not others:
            return (first.slid(count, operation),)
        if cells.step == 1 and cells.start % inner == 0 and count % inner == 0:
            return merged([first.slid(count // inner, operation), *others])
    return lost(count, operation)


def _cut_out_of_parts(parts: Sequence[Axis], cells: range, operation: str) -> Axis:
    pieces, start = [], 0
    for part in parts:
        size = size_of(part)
        low, high = max(cells.start - start, 0), min(cells.stop - start, size)
        if low < high:
            pieces.append(cut_out(part, range(low, high), operation))
        start += size
    return concatenation(pieces)


def rolled(axis: Axis, shift: int, operation: str) -> Axis:
    """Return the axis of cells that moved so many places further on, around the end."""
    size = size_of(axis)
    if shift % size == 0 or is_free(axis):
        return axis
    if len(axis) > 1 or not axis[0].is_whole:
        return lost(size, operation)
    origin = axis[0].origin
    if isinstance(origin, Moved) and origin.shift is not None:
        shift, origin = shift + origin.shift, origin.parent
    return whole(Moved(origin, shift % size) if shift % size else origin, size)
