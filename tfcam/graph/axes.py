"""Where the axes of a tensor come from: an input's axis, a part of one, the batch, or nowhere.

An axis is a tuple of digits, the slowest first, as a number is one of digits: tokens ``h * w`` of an image are two.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from tfcam.graph.receptive_sliding import Rule, repetition
from tfcam.graph.sight import Sight


@dataclass(frozen=True, slots=True)
class InputAxis:
    """The cells along an axis of an input."""

    index: int
    axis: int


@dataclass(frozen=True, slots=True)
class Part:
    """What ``cell // stride % size`` of another origin's cells counts: the rows of flat pixels, those of a window."""

    parent: Origin
    count: int
    stride: int
    size: int


@dataclass(frozen=True, slots=True)
class Moved:
    """The cells of another origin, from the last to the first, or so many places further on, around the end."""

    parent: Origin
    shift: int | None


@dataclass(frozen=True, slots=True)
class ModelAxis:
    """An axis of the model's own that it slides along, though no input has it: the frequencies of a sound."""

    operation: str


@dataclass(frozen=True, slots=True)
class Joined:
    """Axes one after the other, such as a class token before those of patches."""

    parts: tuple[Axis, ...]


@dataclass(frozen=True, slots=True)
class Lost:
    """An origin that the operation of this name does not tell."""

    operation: str


@dataclass(frozen=True, slots=True)
class _Plain:
    name: str


#: The batch; what has no position, such as channels; and the times that a cell is repeated.
BATCH, NONE, REPETITION = _Plain("batch"), _Plain("none"), _Plain("repetition")
#: How many images a batch of unknown size is taken to have: a prime, which no other size is a multiple of.
BATCH_SIZE = 109
Origin: TypeAlias = "InputAxis | Part | Moved | ModelAxis | Joined | Lost | _Plain"


class Digit(NamedTuple):
    """``cell // stride % size``, of an origin that has so many cells here.

    It is whole where that is the cell itself: a stride of 1, and the size of the cells. `sight` is what the cells see
    of the input's; None where that is not known, as after an attention.
    """

    origin: Origin
    cells: int
    stride: int
    size: int
    sight: Sight | None = None

    @property
    def is_whole(self) -> bool:
        """Whether it is the cell itself."""
        return self.size == self.cells

    @property
    def is_free(self) -> bool:
        """Whether it has no position."""
        return self.origin is NONE or self.origin is REPETITION

    def cut(self, upper: int) -> tuple[Digit, Digit]:
        """Return it as two digits, the first of this size."""
        lower = self.size // upper
        if self.is_free:
            return Digit(self.origin, upper, 1, upper), Digit(self.origin, lower, 1, lower)
        above = Digit(self.origin, self.cells, self.stride * lower, upper, self.sight)
        return above, Digit(self.origin, self.cells, self.stride, lower, self.sight)


Axis: TypeAlias = tuple[Digit, ...]


def whole(origin: Origin, count: int, sight: Sight | None = None) -> Axis:
    """Return the axis of all cells of an origin; one entry without a position is none."""
    digit = Digit(origin, count, 1, count, sight)
    return () if count == 1 and digit.is_free else (digit,)


def size_of(axis: Axis) -> int:
    """Return how many entries an axis has."""
    return math.prod(digit.size for digit in axis)


def is_free(axis: Axis) -> bool:
    """Whether an axis has no position."""
    return all(digit.is_free for digit in axis)


def origin_of(digit: Digit) -> Origin:
    """Return where a digit comes from: of one that is not whole, which part of the cells."""
    origin, part = digit.origin, (digit.cells, digit.stride, digit.size)
    if digit.is_whole:
        return origin
    if isinstance(origin, Moved) and origin.shift is None:
        # Counted backwards, each digit runs backwards.
        return Moved(Part(origin.parent, *part), None)
    return Part(origin, *part)


def sight_of(axis: Axis) -> Sight | None:
    """Return what the cells along an axis see, where what stands at each of them is counted as cells too."""
    first, times = axis[0], size_of(axis[1:])
    sight = first.sight
    if sight and not first.is_whole:
        sight = sight.of_parts(first.size)
    return sight.then(repetition(times)) if sight and times > 1 else sight


def blind(axis: Axis) -> Axis:
    """Return an axis of which it is not known what its cells see."""
    return tuple(Digit(_blind_origin(digit.origin), *digit[1:4]) for digit in axis)


def _blind_origin(origin: Origin) -> Origin:
    return Joined(tuple(map(blind, origin.parts))) if isinstance(origin, Joined) else origin


def has_cells(axes: Sequence[Axis]) -> bool:
    """Whether any axis but those of the batch and of channels has more than one entry."""
    return any(digit.size > 1 and not digit.is_free and digit.origin != BATCH for digit in digits_of(axes))


def has_positions(axes: Sequence[Axis]) -> bool:
    """Whether any axis is one of an input, or made of one."""
    return any(positions_of(digit.origin) for digit in digits_of(axes))


def is_lost(axes: Sequence[Axis]) -> bool:
    """Whether an operation lost the origin of any axis, or of a part of one."""
    return any(isinstance(digit.origin, Lost) for digit in digits_of(axes))


def digits_of(axes: Sequence[Axis]) -> Iterator[Digit]:
    """Yield the digits of axes, and of the parts of joined ones."""
    for digit in (digit for axis in axes for digit in axis):
        yield from digits_of(digit.origin.parts) if isinstance(digit.origin, Joined) else (digit,)


def positions_of(origin: Origin) -> InputAxis | None:
    """Return the axis of an input that an origin is, or is made of; None where it is none."""
    while isinstance(origin, (Part, Moved)):
        origin = origin.parent
    return origin if isinstance(origin, InputAxis) else None


def merged(digits: Iterable[Digit]) -> Axis:
    """Return digits as an axis: neighbours that are one digit put together."""
    result: list[Digit] = []
    for digit in digits:
        result.append(digit)
        while len(result) > 1 and (one := _one(result[-2], result[-1])):
            result[-2:] = [one]
    return tuple(result)


def as_part(digit: Digit) -> Digit:
    """Return all cells of a part, as many as it has, as the digit that they are of the other origin."""
    part = digit.origin
    if isinstance(part, Part) and digit.is_whole and digit.cells == part.size:
        return Digit(part.parent, part.count, part.stride, part.size)
    return digit


def _one(left: Digit, right: Digit) -> Digit | None:
    """Return two neighbours as one digit; None where they are not."""
    if left.origin == right.origin and left.is_free:
        size = left.size * right.size
        return Digit(left.origin, size, 1, size)
    sight = left.sight if left.sight is right.sight else None
    upper, lower = as_part(left), as_part(right)
    if upper[:2] == lower[:2] and upper.stride == lower.stride * lower.size:
        return Digit(*lower[:3], upper.size * lower.size, sight)
    if right.origin is REPETITION and left.is_whole and not left.is_free and not isinstance(left.origin, Joined):
        count = left.cells * right.size
        return Digit(left.origin, count, 1, count, sight_of((left, right)))
    part = right.origin
    if (
        isinstance(part, Part)
        and right.is_whole
        and (part.parent, part.count, part.stride, part.size)
        == (
            left.origin,
            left.cells,
            1,
            left.stride,
        )
    ):
        # Tiles that were convolved each on its own are side by side again.
        count = left.cells // left.stride * right.cells
        return Digit(left.origin, count, 1, left.size * right.cells)
    return None


def lost(size: int, operation: str) -> Axis:
    """Return an axis whose origin an operation does not tell."""
    return () if size == 1 else whole(Lost(operation), size)


def reshaped(axes: Sequence[Axis], sizes: Sequence[int], operation: str) -> list[Axis]:
    """Return the axes of a tensor that is brought to these sizes.

    Digits are filled in from the left, and cut where an axis ends inside of one. Where none fit, what lies up to the
    next place where both shapes have a border is lost.
    """
    digits = [digit for axis in reversed(axes) for digit in reversed(axis)]
    result: list[Axis] = []
    for position, size in enumerate(sizes):
        if len(result) > position:
            continue
        needed, taken = size, list[Digit]()
        if size == 1 and digits and digits[-1].size == 1:
            taken.append(digits.pop())
        while needed > 1:
            digit = digits.pop()
            if needed % digit.size == 0:
                taken.append(digit)
                needed //= digit.size
            elif digit.size % needed == 0 and not isinstance(digit.origin, Joined):
                upper, lower = digit.cut(needed)
                taken.append(upper)
                digits.append(lower)
                needed = 1
            else:
                # Both go on until they have a border in common.
                have, want, end = digit.size, needed, position + 1
                while have != want:
                    if have < want:
                        have *= digits.pop().size
                    else:
                        want *= sizes[end]
                        end += 1
                result += [lost(one, operation) for one in sizes[position:end]]
                break
        if len(result) == position:
            result.append(merged(taken))
    return result


def slid(axis: Axis, count: int, operation: str, rule: Rule | None = None) -> Axis:
    """Return what an operation that slides along an axis, such as a convolution, makes of it: so many cells.

    `rule` is what it does to what they see; None where that is not known.
    """
    if is_free(axis):
        return whole(ModelAxis(operation), count) if axis or count > 1 else ()
    first, *others = axis
    if isinstance(first.origin, Joined) and not others and count != first.size:
        # Zeros that were put before or behind are a padding.
        placed = [part for part in first.origin.parts if not is_free(part)]
        return slid(placed[0], count, operation) if len(placed) == 1 else lost(count, operation)
    if is_free(tuple(others)) and not isinstance(first.origin, Joined):
        # What stands at each cell, as channels that were moved there, is counted with the cell.
        sight = sight_of(axis)
        return whole(origin_of(first), count, sight.then(rule) if sight and rule else None)
    return blind(axis) if count == size_of(axis) else lost(count, operation)
