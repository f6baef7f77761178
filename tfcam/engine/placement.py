"""Maps of a run's layers brought to the grid of another layer, or of the input."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from tfcam.graph.axis_origins import AxisOrigins
from tfcam.layers import Alignment, LayerCall
from tfcam.layers.alignment import Cells
from tfcam.layers.graph_grids import GraphGrids
from tfcam.layers.input_grid import TensorGrid
from tfcam.ops.resize import EvenMatrix, Kernel, cubic, resized, summed_beyond


class Placement:
    """Where the cells of a run's layers lie: evenly over the input, or as an alignment says.

    Parameters
    ----------
    layers : sequence of LayerCall
    inputs : sequence of tf.Tensor
        The model's, flat.
    activations : sequence of tf.Tensor
        ``(N, *grid, K)``, one for each layer.
    alignment : Alignment or None
        None: evenly.
    """

    def __init__(
        self,
        layers: Sequence[LayerCall],
        inputs: Sequence[tf.Tensor],
        activations: Sequence[tf.Tensor],
        alignment: Alignment | None,
    ) -> None:
        self._layers, self._inputs, self._activations, self._alignment = layers, inputs, activations, alignment
        self._graph_grids: GraphGrids | None = None

    def source(self, layer: int = 0) -> tf.Tensor:
        """Return the input ``(N, *input_grid, C)`` that a layer has its grid from."""
        grid = self._layers[layer].input_grid
        return grid.layout.to_grid(self._inputs[grid.index])

    def resized(self, maps: tf.Tensor, layer: int = 0, to: int | None = None, kernel: Kernel = cubic) -> tf.Tensor:
        """Return maps ``(N, *grid)`` of a layer at the grid of another, or of the input that it has its grid from."""
        source = self.source(layer)
        like = (source if to is None else self._activations[to])[..., 0]
        maps = maps if to is not None else summed_beyond(maps, like)
        if self._alignment is None:
            return resized(maps, like, EvenMatrix(kernel))
        there = None if to is None else self._layers[to]
        return resized(maps, like, self._alignment.matrices(self._layers[layer], there, source, kernel))

    def unmirrored(self, maps: tf.Tensor, layer: int | None) -> tf.Tensor:
        """Return the maps of a layer, or of the input, that mirrored images gave, as those of the images themselves."""
        last = self.source(layer or 0).shape.rank - 2
        mirrored = tf.reverse(maps, [last])
        if self._alignment is None or layer is None:
            return mirrored
        matrices = self._alignment.mirror_matrices(self._layers[layer], self.source(layer), tf.shape(maps)[last])
        return resized(mirrored, mirrored, matrices)

    def grid_of(self, tensor: tf.Tensor) -> TensorGrid | None:
        """Return how any tensor of the run's graph is the grid of the explained layer's input; None where it is not.

        What is pooled to one cell, as in a gate, has a grid of that cell.
        """
        grids, input_grid = self._grids_of(tensor.graph), self._layers[0].input_grid
        grid = grids.of(tensor) or grids.of_one_cell(tensor, input_grid, self.source().shape.rank)
        return grid if grid and grid.input_grid == input_grid else None

    def _grids_of(self, graph: tf.Graph) -> GraphGrids:
        if self._graph_grids is None:
            self._graph_grids = GraphGrids(graph, self._inputs)
        return self._graph_grids

    def origins(self, graph: tf.Graph) -> AxisOrigins:
        """Return where the axes of the tensors of the run's graph come from."""
        return self._grids_of(graph).origins

    def resized_part(self, maps: tf.Tensor, tensor: tf.Tensor) -> tf.Tensor:
        """Return maps of the grid of any tensor of the run's graph at that of the input."""
        source = self.source()
        maps = summed_beyond(maps, source[..., 0])
        grid, field = self.grid_of(tensor), self._grids_of(tensor.graph).field
        if self._alignment is None or (grid and not grid.sights):
            return resized(maps, source[..., 0])
        if self._alignment.offset_and_jump or self._alignment.measurements:
            raise ValueError(
                "A map that is the sum of what each layer gives has its cells placed by arithmetic alone: leave align= "
                "off."
            )
        cells = Cells(tensor.name, lambda sizes: field(grid, sizes))
        return resized(maps, source[..., 0], self._alignment.matrices(cells, None, source))
