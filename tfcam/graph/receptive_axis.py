"""Receptive fields along one axis: windows, and their composition."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np

#: Where one sees from and to that sees nothing.
_NOTHING = (np.iinfo(np.int64).max, 0)


@dataclass(frozen=True)
class Window:
    """Which cells of one tensor's axis those of the next are computed from.

    Attributes
    ----------
    cells : tuple of tuple of int
        Those that cell 0 is computed from, cell 1, and so on, up to where the pattern repeats itself.
    step : int
        How far on it then is.
    middles : tuple of Fraction
        Where among the cells their weighted mean is, for each of these; empty: where their plain mean is.
    """

    cells: tuple[tuple[int, ...], ...]
    step: int
    middles: tuple[Fraction, ...] = ()

    @classmethod
    def sliding(cls, kernel: int = 1, step: int = 1, padding: int = 0, dilation: int = 1) -> Window:
        """Return that of a convolution or pooling, or of cells taken from `-padding` on."""
        return cls((tuple(tap * dilation - padding for tap in range(kernel)),), step)

    @classmethod
    def spread(cls, kernel: int, step: int, padding: int, dilation: int = 1) -> Window:
        """Return that of a transposed convolution: the reverse of `sliding`."""
        reached = [[cell + padding - tap * dilation for tap in range(kernel)] for cell in range(step)]
        return cls(tuple(tuple(sorted(one // step for one in each if one % step == 0)) for each in reached), 1)

    @classmethod
    def repeated(cls, times: int) -> Window:
        """Return that of cells repeated so often each."""
        return cls(((0,),) * times, 1)

    @classmethod
    def resampled(cls, ratio: Fraction, radius: int, middle: Fraction) -> Window:
        """Return that of a resizing to cells `ratio` apart, each of those less than `radius` away, or of the nearest.

        `middle` is where in a cell its value is taken to be: 1/2, or 0 at its edge.
        """
        places = [(cell + middle) * ratio - middle for cell in range(ratio.denominator)]
        if radius == 0:
            return cls(tuple((math.floor(place + middle),) for place in places), ratio.numerator)
        reached = (range(math.floor(place - radius) + 1, math.ceil(place + radius)) for place in places)
        # On a cell, a kernel is zero at the others.
        cells = (
            tuple(each) if place.denominator > 1 else (int(place),) for place, each in zip(places, reached, strict=True)
        )
        return cls(tuple(cells), ratio.numerator, tuple(places))


class Span(NamedTuple):
    """What one cell sees of an axis of the input.

    Attributes
    ----------
    low, high : int
        The first and last cell of the input.
    nearest, farthest : Fraction
        Between which cells of the input the middle lies of what each way through the model sees.
    """

    low: int
    high: int
    nearest: Fraction
    farthest: Fraction

    def moved(self, by: int) -> Span:
        """Return the span so many cells further on."""
        return Span(self.low + by, self.high + by, self.nearest + by, self.farthest + by)


@dataclass(frozen=True, eq=False)
class Axis:
    """What the cells along one axis of a tensor see of an axis of the input.

    Attributes
    ----------
    spans : tuple of (Span or None)
        What cell 0 sees, cell 1, and so on, up to where the pattern repeats itself, were there no borders; None:
        nothing.
    advance : int
        How far on in the input it then is.
    size : int or None
        How many cells there are; None where that is open.
    is_placed : bool
        Whether it is known where they lie; otherwise `spans` are right but for being moved.
    ends : numpy.ndarray or None
        ``(size, 2)``: the first cell of the input that each sees, and the one behind the last, up to the borders.
    modulus : int
        Where the input's size is open, what its remainder by this is decides how the cells are padded.
    folds : int
        Among how many rows of the batch the cells are dealt out, as TensorFlow does for a dilated convolution.
    """

    spans: tuple[Span | None, ...]
    advance: int
    size: int | None
    is_placed: bool = True
    ends: np.ndarray | None = None
    modulus: int = 1
    folds: int = 1

    @classmethod
    def of_input(cls, size: int | None) -> Axis:
        """Return that of an input's own cells."""
        ends = None if size is None else np.arange(size)[:, None] + [0, 1]
        return cls((Span(0, 0, Fraction(0), Fraction(0)),), 1, size, ends=ends)

    @property
    def stride(self) -> Fraction:
        """How many cells of the input lie between two of these."""
        return Fraction(self.advance, len(self.spans))

    @property
    def field(self) -> int:
        """How many cells of the input one of these is computed from, at most."""
        return max((span.high - span.low + 1 for span in self.spans if span), default=0)

    @property
    def centre(self) -> tuple[Fraction, Fraction] | None:
        """Between which cells of the input the middle of what cell 0 sees lies; None where it is not known.

        Of cells that do not lie evenly, such as repeated ones, where the first of as many even ones would lie.
        """
        if not self.is_placed:
            return None
        seen = [(span, i * self.stride) for i, span in enumerate(self.spans) if span]
        return (
            sum((span.nearest - place for span, place in seen), Fraction(0)) / len(seen),
            sum((span.farthest - place for span, place in seen), Fraction(0)) / len(seen),
        )

    def seen_by(self, cell: int) -> Span | None:
        """Return what a cell sees."""
        times, phase = divmod(cell, len(self.spans))
        span = self.spans[phase]
        return span and span.moved(times * self.advance)

    def through(self, window: Window, size: int | None, is_placed: bool = True) -> Axis:
        """Return the axis of `size` cells that are computed from these."""
        rounds = len(self.spans) // math.gcd(len(self.spans), window.step)
        spans = [
            self._seen_by_all(window, phase, i * window.step)
            for i in range(rounds)
            for phase in range(len(window.cells))
        ]
        advance = self.advance * (rounds * window.step // len(self.spans))
        return Axis(
            spans=tuple(spans),
            advance=advance,
            size=size,
            is_placed=self.is_placed and is_placed,
            ends=self._ends(window, size),
            modulus=self.modulus * window.step,
            folds=self.folds,
        )

    def _ends(self, window: Window, size: int | None) -> np.ndarray | None:
        if self.ends is None or size is None:
            return None
        # A row of its own for what does not exist, and so is seen by none.
        rows = np.concatenate([self.ends, [_NOTHING]])
        ends = np.full((size, 2), _NOTHING)
        for phase, cells in enumerate(window.cells):
            places = np.arange(phase, size, len(window.cells))
            for cell in cells:
                seen = cell + places // len(window.cells) * window.step
                seen = rows[np.where((seen >= 0) & (seen < len(self.ends)), seen, -1)]
                ends[places] = _both(ends[places], seen)
        return ends

    def _seen_by_all(self, window: Window, phase: int, moved: int) -> Span | None:
        spans = [span for cell in window.cells[phase] if (span := self.seen_by(cell + moved))]
        if not window.middles:
            return _merged(spans, lambda middles: sum(middles, Fraction(0)) / len(spans)) if spans else None
        place = window.middles[phase] + moved
        ends = [(self.seen_by(math.floor(place) + i), abs(1 - i - place % 1)) for i in (0, 1)]
        near = [(span, share) for span, share in ends if span and share]
        if not spans or not near:
            return None
        total = sum(share for _, share in near)
        return Span(
            min(span.low for span in spans),
            max(span.high for span in spans),
            sum((span.nearest * share for span, share in near), Fraction(0)) / total,
            sum((span.farthest * share for span, share in near), Fraction(0)) / total,
        )

    def joined(self, other: Axis) -> Axis | None:
        """Return that of what is computed cell by cell from both; None where they do not keep step."""
        if self is other:
            return self
        if self.stride != other.stride or self.size != other.size:
            return None
        count = math.lcm(len(self.spans), len(other.spans))
        pairs = ([axis.seen_by(i) for axis in (self, other)] for i in range(count))
        spans = [[span for span in pair if span] for pair in pairs]
        joined = tuple(_merged(pair, min, max) if pair else None for pair in spans)
        is_placed = self.is_placed and other.is_placed
        ends = None if self.ends is None or other.ends is None else _both(self.ends, other.ends)
        modulus = math.lcm(self.modulus, other.modulus)
        return Axis(joined, int(self.stride * count), self.size, is_placed, ends, modulus, self.folds)


def _both(ends: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return from where to where two see together."""
    return np.stack([np.minimum(ends[:, 0], others[:, 0]), np.maximum(ends[:, 1], others[:, 1])], axis=1)


def _merged(
    spans: list[Span],
    nearest: Callable[[list[Fraction]], Fraction],
    farthest: Callable[[list[Fraction]], Fraction] | None = None,
) -> Span:
    """Return the span of all, its middle what these functions make of the others'."""
    return Span(
        min(span.low for span in spans),
        max(span.high for span in spans),
        nearest([span.nearest for span in spans]),
        (farthest or nearest)([span.farthest for span in spans]),
    )
