"""The input that the grid of a tensor comes from, and how that input is a grid."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import tensorflow as tf

from tfcam.backend.symbolic_call import SymbolicRun
from tfcam.graph.op_types import op_type
from tfcam.graph.traversal import flow, keeps_order, origin, transposed_layout
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

#: By operation: the layout of its output; bits of what it is computed from.
Layouts: TypeAlias = dict[tf.Operation, Layout]
Bits: TypeAlias = dict[tf.Operation, int]


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


class InputGrids:
    """The input grids of the tensors of a run.

    Parameters
    ----------
    run : SymbolicRun
    layouts : dict
        The layout of an operation's output, where it is known.
    grid_paths, dependent : dict
        Bit i is set where an operation is computed from input i: with a grid all the way, or at all.
    """

    def __init__(self, run: SymbolicRun, layouts: Layouts, grid_paths: Bits, dependent: Bits) -> None:
        self._grid_paths, self._dependent = grid_paths, dependent
        self._sources = [_Source(run, index, layouts, dependent) for index in range(len(run.inputs))]

    def of(self, tensor: tf.Tensor, layout: Layout) -> InputGrid:
        """Return the input grid of a tensor of this layout; `NO_INPUT` where it has none."""
        rank = tensor.shape.rank
        if rank not in (3, 4, 5):
            return NO_INPUT
        for bits in (self._grid_paths[tensor.op], self._dependent[tensor.op]):
            for source in self._sources:
                if source.rank == rank and bits >> source.index & 1:
                    return InputGrid(source.index, source.layout(rank, layout))
        for kind in (_Source.reshape, _Source.without_channels, _Source.frames, _Source.computation):
            for source in self._sources:
                found = kind(source, rank, layout) if bits >> source.index & 1 else None
                if found:
                    return InputGrid(source.index, found)
        return NO_INPUT

    def start(self, input_grid: InputGrid, rank: int) -> tf.Tensor | None:
        """Return the first tensor of this rank that is an input's grid; None where images are its channels."""
        return self._sources[input_grid.index].start(input_grid.layout, rank)


class _Source:
    """One input of a run, and the tensors of its grid."""

    def __init__(self, run: SymbolicRun, index: int, layouts: Layouts, dependent: Bits) -> None:
        self.index, self.tensor = index, run.inputs[index]
        self.rank = self.tensor.shape.rank
        #: The layout of the first operation of a rank that has one is that of the input, or of what it is reshaped to.
        self._layouts: dict[int | None, Layout] = {}
        for operation, layout in layouts.items():
            rank = operation.outputs[0].shape.rank
            if dependent[operation] >> index & 1 and rank not in self._layouts:
                self._layouts[rank] = _first_layout(operation, layout, dependent)
        bits = flow(run.graph, {self.tensor.op: 1}, lambda tensor: not _is_dense(tensor.op))
        self._own_cells = {operation for operation, bit in bits.items() if bit}
        self._calls = [call for call in run.seen if call.output.op in self._own_cells]
        self._in_place = list(self._tensors_in_place(run.graph))

    def layout(self, rank: int, default: Layout) -> Layout:
        """Return the layout that the input, or what it is reshaped to, has at this rank."""
        return self._layouts.get(rank, default)

    def start(self, layout: InputLayout, rank: int) -> tf.Tensor | None:
        """Return the first tensor of this rank that is the input's grid; None where images are its channels."""
        if isinstance(layout, Frames):
            return None
        if isinstance(layout, Computed):
            return next(tensor for tensor, sizes in self._grids(rank, CHANNELS_LAST) if sizes == layout.sizes)
        return self._reshaped_tensor(rank, layout.inner) if isinstance(layout, Reshaped) else self.tensor

    def reshape(self, rank: int, layout: Layout) -> InputLayout | None:
        """Return how the input is reshaped to more axes, its values unchanged: ``(N, 784)`` to images."""
        inner = self.layout(rank, layout)
        tensor = self._reshaped_tensor(rank, inner)
        return None if tensor is None else Reshaped(tuple(tensor.shape[1:]), tuple(self.tensor.shape[1:]), inner)

    def without_channels(self, rank: int, layout: Layout) -> InputLayout | None:
        """Return how an input that has a grid but no channels is one: the words of a text."""
        return Channelless() if self.rank == rank - 1 and self._has_own_cells(rank) else None

    def frames(self, rank: int, layout: Layout) -> InputLayout | None:
        """Return how a video whose frames are the channels of one image is a grid."""
        if self.rank != 5 or rank != 4 or not self._has_own_cells(rank):
            return None
        return Frames(layout, int(self.tensor.shape[-1 if layout == CHANNELS_LAST else 2]))

    def computation(self, rank: int, layout: Layout) -> InputLayout | None:
        """Return the grid that a model computes from an input of fewer axes: the spectrogram of a sound."""
        grids = self._grids(rank, layout) if rank > self.rank else iter(())
        return next((Computed(sizes) for _, sizes in grids), None)

    def _tensors_in_place(self, graph: tf.Graph) -> Iterator[tf.Tensor]:
        """Yield the tensors that hold one number for each of the input's, in the order of rows."""
        count, operations = _count(self.tensor), {self.tensor.op}
        for operation in graph.get_operations():
            is_dependent = any(tensor.op in operations for tensor in operation.inputs)
            if count and is_dependent and (op_type(operation).reach == "number" or keeps_order(operation)):
                output = operation.outputs[0]
                if _count(output) == count:
                    operations.add(operation)
                    yield output

    def _reshaped_tensor(self, rank: int, layout: Layout) -> tf.Tensor | None:
        """Return the tensor of more axes that the input is reshaped to."""

        def has_one_row(tensor: tf.Tensor) -> bool:
            return 1 in layout.grid(tensor.shape.as_list())

        tensors = [tensor for tensor in self._in_place if tensor.shape.rank == rank > self.rank]
        # To TensorFlow a convolution of series is one of images of a single row, which is no grid of the model.
        tensors = [tensor for tensor in tensors if not (tensor.op.type == "ExpandDims" and has_one_row(tensor))]
        return min(tensors, key=has_one_row, default=None)

    def _grids(self, rank: int, layout: Layout) -> Iterator[tuple[tf.Tensor, tuple[int, ...]]]:
        """Yield what layers compute from the input, of this rank, with the sizes of its grid where they are known."""
        for call in self._calls:
            if call.output.shape.rank == rank:
                grid = self.layout(rank, layout).grid(call.output.shape.as_list())
                sizes = tuple(size for size in grid if size)
                if len(sizes) == len(grid):
                    yield call.output, sizes

    def _has_own_cells(self, rank: int) -> bool:
        """Whether there is a tensor of this rank whose cells are the input's own."""
        return any(
            operation.outputs and operation.outputs[0].shape.rank == rank and not _is_dense(operation)
            for operation in self._own_cells
        )


def _first_layout(operation: tf.Operation, layout: Layout, dependent: Bits) -> Layout:
    """Return the layout of the first tensor of its rank that an output is computed from, before any transposition."""
    rank = operation.outputs[0].shape.rank
    while sources := [one for one in operation.inputs if dependent.get(one.op) and one.shape.rank == rank]:
        if transposed_layout(operation) == layout:
            layout = CHANNELS_FIRST if layout == CHANNELS_LAST else CHANNELS_LAST
        operation = sources[0].op
    return layout


def _is_dense(operation: tf.Operation) -> bool:
    """Whether an operation multiplies by a learned matrix, after which no cell is that of an input."""
    return op_type(operation).family == "matrix product" and any(
        origin(tensor).type == "ReadVariableOp" for tensor in operation.inputs
    )


def _count(tensor: tf.Tensor) -> int | None:
    """Return how many numbers a tensor holds of each image; None where it is not known."""
    sizes = tensor.shape.as_list()[1:] if tensor.shape.rank else [None]
    return None if None in sizes else math.prod(sizes)
