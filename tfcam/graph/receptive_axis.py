"""Receptive fields along one axis: the windows of operations, and their composition."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np

#: The first cell, and the one after the last, of what depends on no cell.
_NOTHING = (np.iinfo(np.int64).max, 0)


@dataclass(frozen=True)
class Window:
    """The input cells that each output cell of an operation is computed from, along one axis.

    Attributes
    ----------
    taps : tuple of tuple of int
        The input cells of output cell 0, of cell 1, and so on, for one period of the pattern.
    stride : int
        How many input cells the taps move from one period to the next.
    centres : tuple of Fraction
        The weighted mean of the taps of each output cell; empty where it is their plain mean.
    """

    taps: tuple[tuple[int, ...], ...]
    stride: int
    centres: tuple[Fraction, ...] = ()

    @classmethod
    def convolution(cls, kernel: int = 1, stride: int = 1, padding: int = 0, dilation: int = 1) -> Window:
        """Return the window of a convolution or pooling; of a padding or a slice, the kernel is 1."""
        return cls((tuple(tap * dilation - padding for tap in range(kernel)),), stride)

    @classmethod
    def transposed_convolution(cls, kernel: int, stride: int, padding: int, dilation: int = 1) -> Window:
        """Return the window of a transposed convolution: cell ``i`` has tap ``t`` where ``s t + d k - p = i``."""
        positions = [[cell + padding - tap * dilation for tap in range(kernel)] for cell in range(stride)]
        taps = (sorted(position // stride for position in row if position % stride == 0) for row in positions)
        return cls(tuple(map(tuple, taps)), 1)

    @classmethod
    def repetition(cls, times: int) -> Window:
        """Return the window of a repetition of each cell."""
        return cls(((0,),) * times, 1)

    @classmethod
    def resize(cls, scale: Fraction, radius: int, centre: Fraction) -> Window:
        """Return the window of a resizing whose output cells are `scale` input cells apart.

        Each has the taps less than `radius` away, or for 0 the nearest. `centre` is the point of a cell at which its
        value is taken to be: 1/2, or 0 at its edge.
        """
        points = [(cell + centre) * scale - centre for cell in range(scale.denominator)]
        if radius == 0:
            return cls(tuple((math.floor(point + centre),) for point in points), scale.numerator)
        # On a cell, the kernel of a resizing is zero at all other cells.
        taps = (
            range(math.floor(point - radius) + 1, math.ceil(point + radius)) if point.denominator > 1 else (int(point),)
            for point in points
        )
        return cls(tuple(map(tuple, taps)), scale.numerator, tuple(points))


class Extent(NamedTuple):
    """The input cells that one cell depends on.

    Attributes
    ----------
    first, last : int
        The first and the last of them.
    centre_low, centre_high : Fraction
        The lowest and the highest centre of what the paths through the model depend on.
    """

    first: int
    last: int
    centre_low: Fraction
    centre_high: Fraction

    @classmethod
    def of(cls, parts: Sequence[Extent], centre_low: Fraction, centre_high: Fraction) -> Extent:
        """Return the extent of all parts together, with this centre."""
        return cls(min(part.first for part in parts), max(part.last for part in parts), centre_low, centre_high)

    def shift(self, cells: int) -> Extent:
        """Return the extent so many input cells further on."""
        return Extent(self.first + cells, self.last + cells, self.centre_low + cells, self.centre_high + cells)


@dataclass(frozen=True, eq=False)
class Axis:
    """What the cells along one axis of a tensor depend on, along an axis of the input.

    Attributes
    ----------
    extents : tuple of (Extent or None)
        Those of cell 0, of cell 1, and so on, for one period of the pattern, as if there were no borders; None: of no
        cell.
    period : int
        How many input cells the extents move from one period to the next.
    size : int or None
        How many cells there are; None where that is open.
    is_placed : bool
        Whether their position is known; otherwise `extents` are right but for a shift.
    ends : numpy.ndarray or None
        ``(size, 2)``: the first input cell of each extent, and the one after the last, cut at the borders.
    modulus : int
        Where the input's size is open, its remainder by this decides how the cells are padded.
    folds : int
        Among how many rows of the batch the cells are divided, as TensorFlow does for a dilated convolution.
    """

    extents: tuple[Extent | None, ...]
    period: int
    size: int | None
    is_placed: bool = True
    ends: np.ndarray | None = None
    modulus: int = 1
    folds: int = 1

    @classmethod
    def of_input(cls, size: int | None) -> Axis:
        """Return the axis of an input's own cells."""
        ends = None if size is None else np.arange(size)[:, None] + [0, 1]
        return cls((Extent(0, 0, Fraction(0), Fraction(0)),), 1, size, ends=ends)

    @property
    def stride(self) -> Fraction:
        """How many input cells lie between two cells."""
        return Fraction(self.period, len(self.extents))

    @property
    def field(self) -> int:
        """How many input cells a cell depends on, at most."""
        return max((extent.last - extent.first + 1 for extent in self.extents if extent), default=0)

    @property
    def centre(self) -> tuple[Fraction, Fraction] | None:
        """The lowest and the highest centre of cell 0; None where its position is not known.

        Of cells that are not evenly spaced, such as repetitions, where the first of as many even ones would lie.
        """
        if not self.is_placed:
            return None
        pairs = [(extent, cell * self.stride) for cell, extent in enumerate(self.extents) if extent]
        low = sum((extent.centre_low - offset for extent, offset in pairs), Fraction(0))
        high = sum((extent.centre_high - offset for extent, offset in pairs), Fraction(0))
        return low / len(pairs), high / len(pairs)

    def extent(self, cell: int) -> Extent | None:
        """Return the extent of a cell."""
        periods, phase = divmod(cell, len(self.extents))
        extent = self.extents[phase]
        return extent and extent.shift(periods * self.period)

    def through(self, window: Window, size: int | None, is_placed: bool = True) -> Axis:
        """Return the axis of `size` cells that an operation with this window computes from these."""
        # Both patterns repeat after so many periods of the window.
        periods = len(self.extents) // math.gcd(len(self.extents), window.stride)
        extents = [
            self._extent_through(window, phase, number * window.stride)
            for number in range(periods)
            for phase in range(len(window.taps))
        ]
        return Axis(
            extents=tuple(extents),
            period=self.period * (periods * window.stride // len(self.extents)),
            size=size,
            is_placed=self.is_placed and is_placed,
            ends=self._ends_through(window, size),
            modulus=self.modulus * window.stride,
            folds=self.folds,
        )

    def _extent_through(self, window: Window, phase: int, offset: int) -> Extent | None:
        """Return the extent of the taps of an output cell, its centre the weighted mean of theirs."""
        extents = [self.extent(tap + offset) for tap in window.taps[phase]]
        neighbours, weights = extents, [Fraction(1)] * len(extents)
        if window.centres:
            below, share = divmod(window.centres[phase] + offset, 1)
            neighbours, weights = [self.extent(below), self.extent(below + 1)], [1 - share, share]
        pairs = [(extent, weight) for extent, weight in zip(neighbours, weights, strict=True) if extent and weight]
        present = [extent for extent in extents if extent]
        if not present or not pairs:
            return None
        total = sum(weight for _, weight in pairs)
        low = sum((extent.centre_low * weight for extent, weight in pairs), Fraction(0)) / total
        high = sum((extent.centre_high * weight for extent, weight in pairs), Fraction(0)) / total
        return Extent.of(present, low, high)

    def _ends_through(self, window: Window, size: int | None) -> np.ndarray | None:
        if self.ends is None or size is None:
            return None
        # A last row for the taps beyond the borders.
        rows = np.concatenate([self.ends, [_NOTHING]])
        ends = np.full((size, 2), _NOTHING)
        for phase, taps in enumerate(window.taps):
            cells = np.arange(phase, size, len(window.taps))
            for tap in taps:
                sources = tap + cells // len(window.taps) * window.stride
                is_inside = (sources >= 0) & (sources < len(self.ends))
                ends[cells] = _union(ends[cells], rows[np.where(is_inside, sources, -1)])
        return ends

    def join(self, other: Axis) -> Axis | None:
        """Return the axis of what is computed cell by cell from both; None where their cells do not correspond."""
        if self is other:
            return self
        if self.stride != other.stride or self.size != other.size:
            return None
        count = math.lcm(len(self.extents), len(other.extents))
        return Axis(
            extents=tuple(_joint_extent(self.extent(cell), other.extent(cell)) for cell in range(count)),
            period=int(self.stride * count),
            size=self.size,
            is_placed=self.is_placed and other.is_placed,
            ends=None if self.ends is None or other.ends is None else _union(self.ends, other.ends),
            modulus=math.lcm(self.modulus, other.modulus),
            folds=self.folds,
        )


def _union(ends: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the ends of what two together depend on."""
    return np.stack([np.minimum(ends[:, 0], others[:, 0]), np.maximum(ends[:, 1], others[:, 1])], axis=1)


def _joint_extent(one: Extent | None, other: Extent | None) -> Extent | None:
    """Return the extent of two together."""
    if one is None or other is None:
        return one or other
    return Extent.of([one, other], min(one.centre_low, other.centre_low), max(one.centre_high, other.centre_high))
