"""The input that the grid of a tensor comes from, and how that input is a grid."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import tensorflow as tf

from tfcam.backend.symbolic_call import SymbolicRun
from tfcam.graph.traversal import flow, origin
from tfcam.ops.layout import (
    CHANNELS_FIRST,
    CHANNELS_LAST,
    Channelless,
    Computed,
    Frames,
    InputLayout,
    Layout,
    Reshaped,
)

#: Operations that leave each value in its cell, where they leave the number of values.
_IN_PLACE = {
    *("Identity", "Cast", "Reshape", "Squeeze", "ExpandDims", "StridedSlice"),
    *("Mul", "Sub", "Add", "AddV2", "RealDiv", "Maximum", "Minimum", "Neg"),
}


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


class InputGrids:
    """The input grids of the tensors of a run.

    Parameters
    ----------
    run : SymbolicRun
    layouts : dict
        The layout of an operation's output, where it is known.
    gridded, related : dict
        Bit i is set where an operation is computed from input i: with a grid all the way, or at all.
    """

    def __init__(
        self,
        run: SymbolicRun,
        layouts: dict[tf.Operation, Layout],
        gridded: dict[tf.Operation, int],
        related: dict[tf.Operation, int],
    ) -> None:
        self._run, self._gridded, self._related = run, gridded, related
        # The layout of an input, or of what it is brought to, is that of the first operation of its rank that has one.
        self._own: dict[tuple[int, int], Layout] = {}
        for operation, layout in layouts.items():
            for i in range(len(run.inputs)):
                key = (i, operation.outputs[0].shape.rank)
                if related[operation] >> i & 1 and key not in self._own:
                    self._own[key] = _layout_before(operation, layout, related)
        inputs = {tensor.op: 1 << i for i, tensor in enumerate(run.inputs)}
        self._unmixed = flow(run.graph, inputs, lambda tensor: not _mixes(tensor.op))
        self._in_place = [list(self._kept_in_place(i)) for i in range(len(run.inputs))]

    def of(self, tensor: tf.Tensor, layout: Layout) -> InputGrid | None:
        """Return the input grid of a tensor of this layout; None where it has no grid that comes from an input."""
        rank = tensor.shape.rank
        if rank not in (3, 4, 5):
            return None
        inputs = list(enumerate(self._run.inputs))
        for bits in (self._gridded[tensor.op], self._related[tensor.op]):
            for i, given in inputs:
                if given.shape.rank == rank and bits >> i & 1:
                    return InputGrid(i, self._own.get((i, rank), layout))
        for way in (self._reshaped, self._without_channels, self._frames, self._computed):
            for i, given in inputs:
                if self._related[tensor.op] >> i & 1 and (found := way(i, given, rank, layout)):
                    return InputGrid(i, found)
        return None

    def start(self, input_grid: InputGrid, rank: int) -> tf.Tensor | None:
        """Return the first tensor of this rank that is an input's grid; None where images were summed up in it."""
        given = self._run.inputs[input_grid.index]
        if isinstance(input_grid.layout, Frames):
            return None
        if isinstance(input_grid.layout, Computed):
            return next(
                tensor for tensor, grid in self._made(input_grid.index, rank) if grid == input_grid.layout.sizes
            )
        return (
            self._brought(input_grid.index, given, rank, input_grid.layout.inner)
            if isinstance(input_grid.layout, Reshaped)
            else given
        )

    def _kept_in_place(self, index: int) -> Iterator[tf.Tensor]:
        """Yield the tensors that hold the values of an input, each in a cell of its own."""
        given = self._run.inputs[index]
        numbers = _numbers(given)
        kept = {given.op}
        for operation in self._run.graph.get_operations():
            if operation.type in _IN_PLACE and any(tensor.op in kept for tensor in operation.inputs):
                output = operation.outputs[0]
                if numbers is not None and _numbers(output) == numbers:
                    kept.add(operation)
                    yield output

    def _reshaped(self, index: int, given: tf.Tensor, rank: int, layout: Layout) -> InputLayout | None:
        """Return how an input is brought to more axes with its values as they are: ``(N, 784)`` to images."""
        inner = self._own.get((index, rank), layout)
        tensor = self._brought(index, given, rank, inner)
        return None if tensor is None else Reshaped(tuple(tensor.shape[1:]), tuple(given.shape[1:]), inner)

    def _brought(self, index: int, given: tf.Tensor, rank: int, layout: Layout) -> tf.Tensor | None:
        """Return the tensor of more axes that an input is brought to."""

        def has_one_row(tensor: tf.Tensor) -> bool:
            return 1 in layout.grid(tensor.shape.as_list())

        tensors = [tensor for tensor in self._in_place[index] if tensor.shape.rank == rank > given.shape.rank]
        # A convolution of series is one of images of a single row to TensorFlow: no grid that the model speaks of.
        tensors = [tensor for tensor in tensors if not (tensor.op.type == "ExpandDims" and has_one_row(tensor))]
        return min(tensors, key=has_one_row, default=None)

    def _without_channels(self, index: int, given: tf.Tensor, rank: int, _layout: Layout) -> InputLayout | None:
        """Return how an input that has a grid but no channels is one: the words of a text."""
        return Channelless() if given.shape.rank == rank - 1 and self._has_unmixed(index, rank) else None

    def _frames(self, index: int, given: tf.Tensor, rank: int, layout: Layout) -> InputLayout | None:
        """Return how the images that a film is summed up in are a grid."""
        if given.shape.rank != 5 or rank != 4 or not self._has_unmixed(index, rank):
            return None
        return Frames(layout, int(given.shape[-1 if layout == CHANNELS_LAST else 2]))

    def _computed(self, index: int, given: tf.Tensor, rank: int, layout: Layout) -> InputLayout | None:
        """Return the grid that a model makes of an input of fewer axes: the spectrogram of a sound."""
        made = self._made(index, rank, layout) if rank > given.shape.rank else iter(())
        return next((Computed(grid) for _, grid in made), None)

    def _made(
        self, index: int, rank: int, layout: Layout = CHANNELS_LAST
    ) -> Iterator[tuple[tf.Tensor, tuple[int, ...]]]:
        """Yield what layers make of an input, of this rank, with its grid where that is known."""
        for call in self._run.seen:
            if call.output.shape.rank == rank and self._unmixed[call.output.op] >> index & 1:
                grid = self._own.get((index, rank), layout).grid(call.output.shape.as_list())
                sizes = tuple(size for size in grid if size)
                if len(sizes) == len(grid):
                    yield call.output, sizes

    def _has_unmixed(self, index: int, rank: int) -> bool:
        """Whether there is a tensor of this rank whose cells are an input's own."""
        return any(
            bits >> index & 1
            and not _mixes(operation)
            and operation.outputs
            and operation.outputs[0].shape.rank == rank
            for operation, bits in self._unmixed.items()
        )


def _layout_before(operation: tf.Operation, layout: Layout, related: dict[tf.Operation, int]) -> Layout:
    """Return the layout of what a tensor was first, of its rank, before channels were moved to where they now are."""
    rank = operation.outputs[0].shape.rank
    while given := [one for one in operation.inputs if related.get(one.op) and one.shape.rank == rank]:
        if operation.type == "Transpose":
            order = tf.get_static_value(operation.inputs[1])
            moves = {CHANNELS_LAST: [0, *range(2, rank), 1], CHANNELS_FIRST: [0, rank - 1, *range(1, rank - 1)]}
            if order is not None and list(order) == moves[layout]:
                layout = CHANNELS_FIRST if layout == CHANNELS_LAST else CHANNELS_LAST
        operation = given[0].op
    return layout


def _mixes(operation: tf.Operation) -> bool:
    """Whether an operation multiplies by a learned matrix, behind which no cell is that of an input: a Dense layer."""
    return operation.type in ("MatMul", "BatchMatMulV2") and any(
        origin(tensor).type == "ReadVariableOp" for tensor in operation.inputs
    )


def _numbers(tensor: tf.Tensor) -> int | None:
    """Return how many numbers a tensor holds of each image; None where it is not known."""
    sizes = tensor.shape.as_list()[1:] if tensor.shape.rank else [None]
    return None if None in sizes else math.prod(sizes)
