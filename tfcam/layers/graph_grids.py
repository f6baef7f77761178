"""The grids of the tensors of a graph, for inputs of any size."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from tfcam.graph.axes import BATCH_SIZE
from tfcam.graph.receptive_field import Field
from tfcam.graph.sight import Known
from tfcam.layers.input_grid import InputGrid, TensorGrid
from tfcam.layers.sized_grids import SizedGrids

#: What an open size of an input is taken to be: what holds for two holds for all. Strides up to 128 divide both.
_OPEN_SIZES = (256, 384)
#: For how many sizes of inputs what their cells see is kept.
_MOST_SIZES = 4


class GraphGrids:
    """The grids of the tensors of a graph.

    Parameters
    ----------
    graph : tf.Graph
    inputs : sequence of tf.Tensor
        The model's, flat.
    """

    def __init__(self, graph: tf.Graph, inputs: Sequence[tf.Tensor]) -> None:
        shapes = [tensor.shape.as_list() if tensor.shape.rank is not None else [] for tensor in inputs]
        is_open = any(None in shape[1:] for shape in shapes)

        def sized(open_size: int) -> SizedGrids:
            sizes = [
                [size or (open_size if axis else BATCH_SIZE) for axis, size in enumerate(shape)] for shape in shapes
            ]
            return SizedGrids(graph, inputs, sizes)

        self._grids, *self._others = map(sized, _OPEN_SIZES if is_open else _OPEN_SIZES[:1])
        self.origins = self._grids.origins
        self._known: dict[int | None, Known] = {}

    def of(self, tensor: tf.Tensor) -> TensorGrid | None:
        """Return how a tensor is a grid; None where it has none that comes from an input."""
        grid = self._grids.of(tensor)
        for other in self._others:
            grid = grid and grid.in_common(other.of(tensor))
        return grid

    def needs_sizes(self, tensor: tf.Tensor) -> bool:
        """Whether how a tensor is a grid depends on the sizes of the inputs, as of tokens of any number."""
        is_grid = bool(self._others) and all(grids.of(tensor) for grids in (self._grids, *self._others))
        return is_grid and self.of(tensor) is None

    def of_one_cell(self, tensor: tf.Tensor, input_grid: InputGrid, rank: int) -> TensorGrid | None:
        """Return the grid ``(N, 1, ..., 1, K)`` of a tensor of this rank without cells; None of others."""
        return self._grids.of_one_cell(tensor, input_grid, rank)

    def field(self, grid: TensorGrid | None, sizes: Sequence[int | None]) -> Field | None:
        """Return what a cell of a grid sees of its input's, of these sizes; None where that is not defined."""
        if grid is None or not grid.sights or len(grid.sights) != len(sizes):
            return None
        if len(self._known) > _MOST_SIZES:
            self._known.clear()
        pairs = zip(grid.sights, sizes, strict=True)
        axes = [sight and sight.of(size, self._known.setdefault(size, {})) for sight, size in pairs]
        return None if None in axes else Field(tuple(axes))  # type: ignore[arg-type]
