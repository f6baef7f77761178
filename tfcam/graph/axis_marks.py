"""Marks on axes: the rules that tell where an axis comes from are asked where it goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tfcam.graph.axes import Axis, Digit, InputAxis, Joined, Lost, Moved, Origin, Part, digits_of, positions_of
from tfcam.graph.axis_labels import Labels


def with_labels(inputs: Sequence[Labels], number: int, labels: Labels) -> list[Labels]:
    """Return the labels of inputs with others for one."""
    return [labels if position == number else one for position, one in enumerate(inputs)]


def marked(axis: Axis, position: int) -> Axis:
    """Return an axis whose positions are those of an input that no model has."""
    return tuple(Digit(_marked_origin(digit.origin, position), *digit[1:]) for digit in axis)


def _marked_origin(origin: Origin, position: int) -> Origin:
    if isinstance(origin, Joined):
        return Joined(tuple(marked(part, position) for part in origin.parts))
    if isinstance(origin, (Part, Moved)):
        return replace(origin, parent=_marked_origin(origin.parent, position))
    if isinstance(origin, InputAxis):
        return replace(origin, index=-1 - position)
    return InputAxis(-1 - position, 0) if isinstance(origin, Lost) else origin


def marks(axes: Sequence[Axis]) -> set[int]:
    """Return the positions of the marked axes that axes come from."""
    origins = (positions_of(digit.origin) for digit in digits_of(axes))
    return {-1 - origin.index for origin in origins if origin and origin.index < 0}
