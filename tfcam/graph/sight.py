"""What the cells along an axis see of an input's, told for inputs of any size."""

from __future__ import annotations

from typing import TypeAlias

from tfcam.graph.receptive_axis import Axis, Window
from tfcam.graph.receptive_sliding import Rule


class Sight:
    """What the cells along an axis see: the rules of the operations on the way to it, one after the other.

    Parameters
    ----------
    rule : callable
        From what the cells before saw to what these see: an `Axis`, or None where it is not known.
    before : tuple of Sight
        Those of the cells before; several where an operation puts tensors together. None: the input's own cells.
    parts : int or None
        Of the input's own cells, how many parts of them are counted; None: each.
    is_open : bool
        Whether the input's own cells are of any number.
    """

    __slots__ = ("before", "is_open", "parts", "rule")

    def __init__(self, rule: Rule, *before: Sight, parts: int | None = None, is_open: bool = False) -> None:
        self.rule, self.before, self.parts, self.is_open = rule, before, parts, is_open

    @classmethod
    def of_input(cls, parts: int | None = None, is_open: bool = False) -> Sight:
        """Return the sight of the cells of an input."""
        return cls(_itself, parts=parts, is_open=is_open)

    def of_parts(self, count: int) -> Sight | None:
        """Return the sight of so many parts of the cells; None but for an input's own, of which the number is known."""
        return None if self.before or self.parts or self.is_open else Sight.of_input(count)

    def then(self, rule: Rule) -> Sight:
        """Return the sight of what an operation with this rule computes."""
        return Sight(rule, self)

    def join(self, other: Sight) -> Sight:
        """Return the sight of what is computed cell by cell from both."""
        return self if self is other else Sight(Axis.join, self, other)

    def of(self, size: int | None, known: Known) -> Axis | None:
        """Return what the cells see of so many cells of an input; `known` is filled with all on the way."""
        stack = [self]
        while stack:
            sight = stack[-1]
            missing = [one for one in sight.before if one not in known]
            if missing:
                stack += missing
                continue
            stack.pop()
            axes = [known[one] for one in sight.before] or [_start(sight.parts, size)]
            known[sight] = None if None in axes else sight.rule(*axes)
        return known[self]


#: What is known of inputs of one size.
Known: TypeAlias = dict[Sight, Axis | None]


def _itself(axis: Axis) -> Axis:
    return axis


def _start(parts: int | None, size: int | None) -> Axis:
    axis = Axis.of_input(size)
    if size is None or parts is None or size == parts:
        return axis
    return axis.through(Window.convolution(size // parts, size // parts), parts)
