"""Strides, centres and theoretical receptive fields of the cells of a grid."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from tfcam.graph.receptive_axis import Axis


@dataclass(frozen=True)
class Field:
    """What the cells of a tensor see of the input, along each axis of the grid."""

    axes: tuple[Axis, ...]

    @property
    def strides(self) -> tuple[Fraction, ...]:
        """How many cells of the input lie between two of the tensor's; less than 1 where it is finer."""
        return tuple(axis.stride for axis in self.axes)

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many cells of the input one cell of the tensor is computed from."""
        return tuple(axis.field for axis in self.axes)

    @property
    def centres(self) -> tuple[tuple[Fraction, Fraction], ...] | None:
        """Between which cells of the input the middle of what the first cell sees lies; None where it is not known."""
        known = [axis.centre for axis in self.axes]
        return None if None in known else tuple(known)  # type: ignore[arg-type]

    @property
    def middles(self) -> tuple[float, ...] | None:
        """The middle of those, where the ways through a model differ: all of them are taken."""
        centres = self.centres
        return None if centres is None else tuple(float(low + high) / 2 for low, high in centres)
