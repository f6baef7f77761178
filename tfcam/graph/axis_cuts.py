"""Axes that are computed entry by entry, joined, cut, and moved along themselves."""

from __future__ import annotations

from collections.abc import Sequence

from tfcam.graph.axes import (
    NONE,
    Axis,
    Digit,
    Joined,
    Lost,
    ModelAxis,
    Moved,
    as_part,
    is_free,
    lost,
    merged,
    origin_of,
    positions_of,
    size_of,
    slid,
    whole,
)
from tfcam.graph.receptive_sliding import Rule


def concatenation(axes: Sequence[Axis]) -> Axis:
    """Return the axis of axes one after the other."""
    parts: list[Axis] = []
    for axis in axes:
        inner = axis[0].origin.parts if len(axis) == 1 and isinstance(axis[0].origin, Joined) else (axis,)
        for part in inner:
            if not size_of(part):
                continue
            if parts and is_free(part) and is_free(parts[-1]):
                parts[-1] = whole(NONE, size_of(parts[-1]) + size_of(part))
            else:
                parts.append(part)
    if len(parts) == 1:
        return parts[0]
    return whole(Joined(tuple(parts)), sum(map(size_of, parts)))


def cut_out(axis: Axis, cells: range, operation: str, rule: Rule | None = None) -> Axis:
    """Return the axis of a slice, of these cells of an axis; `rule` is what a slice does to what they see."""
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
            return slid(axis, count, operation, rule)
        if cells.step == 1 and cells.start % inner == 0 and count % inner == 0:
            return merged([*slid((first,), count // inner, operation), *others])
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
    if len(axis) > 1:
        return lost(size, operation)
    origin = origin_of(axis[0])
    if isinstance(origin, Moved) and origin.shift is not None:
        shift, origin = shift + origin.shift, origin.parent
    return whole(Moved(origin, shift % size) if shift % size else origin, size)


def joint(one: Axis, other: Axis, operation: str) -> Axis:
    """Return the axis of what is computed entry by entry from both.

    What has no position takes that of the other; two inputs that are put together have the place of the first.
    """
    if one == other or size_of(other) == 1:
        return one if one or size_of(other) != 1 else other
    if size_of(one) == 1 or is_free(one):
        return other
    if is_free(other):
        return one
    ones, others, result = list(one), list(other), list[Digit]()
    while ones and others:
        left, right = ones.pop(), others.pop()
        if left.size != right.size:
            larger, smaller = (left, right) if left.size > right.size else (right, left)
            if larger.size % smaller.size or isinstance(larger.origin, Joined):
                return lost(max(size_of(one), size_of(other)), operation)
            upper, lower = larger.cut(larger.size // smaller.size)
            (ones if larger is left else others).append(upper)
            left, right = (lower, right) if larger is left else (left, lower)
        result.append(_joint_digit(left, right, operation))
    return merged([*ones, *others, *reversed(result)])


def _joint_digit(one: Digit, other: Digit, operation: str) -> Digit:
    if as_part(one)[:4] == as_part(other)[:4]:
        return Digit(*one[:4], one.sight.join(other.sight) if one.sight and other.sight else None)
    if other.is_free:
        return one
    if one.is_free:
        return other
    for digit in (one, other):
        if isinstance(digit.origin, Lost):
            return Digit(digit.origin, digit.size, 1, digit.size)
    # What slides along an axis of the model's own may have seen all cells of the input.
    if isinstance(one.origin, ModelAxis):
        return Digit(*other[:4])
    if isinstance(other.origin, ModelAxis):
        return Digit(*one[:4])
    if isinstance(one.origin, Joined) and isinstance(other.origin, Joined):
        pairs = list(zip(one.origin.parts, other.origin.parts, strict=False))
        if len(pairs) == len(one.origin.parts) and all(size_of(part) == size_of(own) for part, own in pairs):
            return Digit(Joined(tuple(joint(part, own, operation) for part, own in pairs)), *one[1:4])
    inputs = positions_of(one.origin), positions_of(other.origin)
    if inputs[0] and inputs[1] and inputs[0].index != inputs[1].index:
        return one if inputs[0].index < inputs[1].index else other
    return Digit(Lost(operation), one.size, 1, one.size)
