"""How a tensor is a grid, and where in an input this grid lies."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tfcam.graph.sight import Sight
from tfcam.ops.layout import CHANNELS_LAST, AxisLayout, InputLayout


@dataclass(frozen=True)
class InputGrid:
    """The input that the grid of a tensor comes from.

    Attributes
    ----------
    index : int
        Which of the model's inputs, flat.
    layout : InputLayout
        How that input is a grid.
    """

    index: int
    layout: InputLayout


#: That of a tensor without a grid that comes from an input.
NO_INPUT = InputGrid(-1, CHANNELS_LAST)


@dataclass(frozen=True)
class TensorGrid:
    """How a tensor is a grid.

    Attributes
    ----------
    layout : AxisLayout
        Which of its axes are: first those that lie along an axis of the input, in the input's order, then those that
        the model makes itself.
    input_grid : InputGrid
    sights : tuple of (Sight or None)
        What the cells along the first see.
    sizes : tuple of int
        The sizes of all, those that are open for inputs of `OPEN_SIZE` cells.
    """

    layout: AxisLayout
    input_grid: InputGrid
    sights: tuple[Sight | None, ...]
    sizes: tuple[int, ...]

    def in_common(self, other: TensorGrid | None) -> TensorGrid | None:
        """Return what it has in common with that of the same tensor for larger inputs; None where that is no grid."""
        if other is None:
            return None
        where, larger = self.input_grid.layout, other.input_grid.layout
        if not isinstance(where, AxisLayout):
            return self
        if not isinstance(larger, AxisLayout):
            return other
        layout, input_layout = self.layout.in_common(other.layout), where.in_common(larger)
        if layout is None or input_layout is None or self.input_grid.index != other.input_grid.index:
            return None
        return replace(self, layout=layout, input_grid=InputGrid(self.input_grid.index, input_layout))
