"""Where the entries of an axis of tokens stand in the grid of an input, as numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np

from tfcam.graph.axes import (
    Axis,
    Digit,
    Joined,
    Lost,
    Moved,
    Origin,
    Part,
    as_part,
    has_positions,
    positions_of,
    size_of,
)

#: Which cell of an origin each entry is: by the origin, and how many cells it has.
_Indices: TypeAlias = "dict[tuple[Origin, int], np.ndarray]"


class NoPlace(ValueError):
    """Where tokens stand is not told; the message is the operation that lost it."""


@dataclass(frozen=True, eq=False)
class TokenPlaces:
    """Which token each entry of an attention's axis is, one table for each window.

    Tokens are counted as models have them: first those without a place, such as a class token, then the cells of the
    grid, row by row.

    Attributes
    ----------
    numbers : np.ndarray
        ``(windows, entries)`` int: the number of the token that an entry is.
    others : int
        How many tokens have no place.
    grid : tuple of int
        The sizes of the grid; empty where no token has a place.
    index : int
        Which of the model's inputs the grid lies on; -1 where there is none.
    """

    numbers: np.ndarray
    others: int
    grid: tuple[int, ...]
    index: int

    @classmethod
    def of(cls, windows: Sequence[Digit], entries: Sequence[Digit]) -> TokenPlaces:
        """Return the places of the entries of an axis of these digits, within windows of those.

        Raises
        ------
        NoPlace
            Where they are not told.
        """
        if lost := next((one for one in _origins([*windows, *entries]) if isinstance(one, Lost)), None):
            raise NoPlace(lost.operation)
        pieces = _pieces(entries)
        placed = [_indices([*windows, *piece]) if has_positions((piece,)) else {} for piece in pieces]
        largest: _Indices = max(placed, key=_size)
        bases = sorted(largest, key=lambda base: order_of(base[0]))
        # What lies in another grid than most is counted as having no place.
        in_grid = [bool(one) and set(one) == set(bases) for one in placed]
        lines = [
            _line([one[base] for one, has_cells in zip(placed, in_grid, strict=True) if has_cells], base[1])
            for base in bases
        ]
        count = math.prod(digit.size for digit in windows)
        others, found = sum(size_of(piece) for piece, is_in in zip(pieces, in_grid, strict=True) if not is_in), 0
        numbers: list[np.ndarray] = []
        for piece, indices, is_in in zip(pieces, placed, in_grid, strict=True):
            if is_in:
                cells = [np.searchsorted(line, indices[base]) for base, line in zip(bases, lines, strict=True)]
                flat = np.ravel_multi_index(tuple(cells), tuple(map(len, lines)))
                numbers.append(others + flat.reshape(count, -1))
            else:
                numbers.append(np.tile(np.arange(found, found + size_of(piece)), (count, 1)))
                found += size_of(piece)
        index = next((axis.index for origin, _ in bases if (axis := positions_of(origin))), -1)
        return cls(np.concatenate(numbers, axis=1), others, tuple(map(len, lines)), index)

    @property
    def cells(self) -> int:
        """How many cells the grid has."""
        return math.prod(self.grid) if self.grid else 0

    @property
    def count(self) -> int:
        """How many tokens there are."""
        return self.others + self.cells

    @property
    def is_plain(self) -> bool:
        """Whether the entries are the tokens in order."""
        return bool(np.array_equal(self.numbers, np.arange(self.count)[None]))

    @cached_property
    def inverse(self) -> np.ndarray | None:
        """At which entry of all windows each token is; None where one is at none, or at several."""
        flat = self.numbers.ravel()
        return np.argsort(flat) if np.array_equal(np.sort(flat), np.arange(self.count)) else None


def _origins(digits: Iterable[Digit]) -> Iterable[Origin]:
    for digit in digits:
        origin = digit.origin
        if isinstance(origin, Joined):
            yield from _origins(one for part in origin.parts for one in part)
        while isinstance(origin, (Part, Moved)):
            origin = origin.parent
        yield origin


def _pieces(entries: Sequence[Digit]) -> list[Axis]:
    """Return the axes that stand one after the other along an axis."""
    if len(entries) == 1 and isinstance(entries[0].origin, Joined):
        return list(entries[0].origin.parts)
    if any(isinstance(digit.origin, Joined) for digit in entries):
        raise NoPlace("ConcatV2")
    return [tuple(entries)]


def _indices(digits: Sequence[Digit]) -> _Indices:
    """Return which cell of each origin the entries of digits are, an array with an axis for each digit."""
    left: _Indices = {}
    for number, digit in enumerate(digits):
        if not digit.is_free:
            digit = as_part(digit)
            shape = [1] * len(digits)
            shape[number] = digit.size
            _add(left, digit.origin, digit.cells, digit.stride * np.arange(digit.size).reshape(shape))
    done: _Indices = {}
    while left:
        origin, cells = max(left, key=lambda one: _depth(one[0]))
        index = left.pop((origin, cells))
        if isinstance(origin, Part) and origin.size == cells:
            _add(left, origin.parent, origin.count, index * origin.stride)
        elif isinstance(origin, Moved):
            back = cells - 1 - index if origin.shift is None else (index - origin.shift) % cells
            _add(left, origin.parent, cells, back)
        else:
            done[origin, cells] = index
    shape = [digit.size for digit in digits]
    return {base: np.broadcast_to(index, shape) for base, index in done.items()}


def _add(indices: _Indices, origin: Origin, cells: int, index: np.ndarray) -> None:
    known = indices.get((origin, cells))
    indices[origin, cells] = index if known is None else known + index


def _depth(origin: Origin) -> int:
    return 1 + _depth(origin.parent) if isinstance(origin, (Part, Moved)) else 0


def order_of(origin: Origin) -> tuple[int, int, int]:
    """Return by what axes of a grid are sorted: their input, its axis, and where they stand in it."""
    axis, stride = positions_of(origin), 0
    while isinstance(origin, (Part, Moved)):
        stride = stride or (origin.stride if isinstance(origin, Part) else 0)
        origin = origin.parent
    return (axis.index, axis.axis, -stride) if axis else (0, 0, 0)


def _size(indices: _Indices) -> int:
    return max((index.size for index in indices.values()), default=0)


def _line(indices: Sequence[np.ndarray], cells: int) -> np.ndarray:
    """Return the cells of an origin that are tokens: every n-th, all along it."""
    line = np.unique(np.concatenate([index.ravel() for index in indices]))
    step = int(line[1] - line[0]) if len(line) > 1 else cells
    if not np.array_equal(line, line[0] + step * np.arange(len(line))) or step * (len(line) + 1) <= cells:
        raise NoPlace("a slice that leaves out cells")
    return line
