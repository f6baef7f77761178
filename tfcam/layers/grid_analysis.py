"""Which tensors of a run have a grid, which input it comes from, and what precedes it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import or_

import tensorflow as tf

from tfcam.backend.keras_compat import default_data_format
from tfcam.backend.symbolic_call import SymbolicRun
from tfcam.graph.op_types import op_type
from tfcam.graph.receptive_field import Field, fields
from tfcam.graph.traversal import Functions, ancestors, derive_layouts, flow, keeps_channels, origin
from tfcam.layers.input_grid import NO_INPUT, Bits, InputGrid, InputGrids
from tfcam.ops.layout import CHANNELS_FIRST, CHANNELS_LAST, Layout, find_layout


class Grids:
    """How the tensors of a run are grids, and where these come from.

    Attributes
    ----------
    is_channels_first : bool
        Whether an operation requires the channels first, which not every processor has.
    has_convolution : bool
        Whether the model has a convolution anywhere.
    convolves_unseen : bool
        Whether it has them inside of functions alone, such as those of a SavedModel.
    hiding_layers : list of str
        Paths of the layers that convolve in functions alone, with no grid in any layer's output afterwards.
    """

    def __init__(self, run: SymbolicRun) -> None:
        self._graph, self._functions = run.graph, Functions(run.graph)
        operations = run.graph.get_operations()
        bodies = {operation: set(self._functions.operations(operation)) for operation in operations}
        self._families = {operation: {op_type(kind).family for kind, _ in body} for operation, body in bodies.items()}
        formats = {data_format for body in bodies.values() for _, data_format in body}
        self.is_channels_first = any(find_layout(data_format) == CHANNELS_FIRST for data_format in formats)
        declarations = {
            call.output.op: layout
            for call in run.seen
            if (layout := find_layout(getattr(call.layer, "data_format", None))) and call.output.shape.rank > 2
        }
        self._layouts = derive_layouts(run.graph, self._functions, declarations)
        self._default = find_layout(default_data_format()) or CHANNELS_LAST
        self._outputs = {call.output.op for call in run.seen}
        self._fields: dict[tuple[int, tuple[int | None, ...]], dict[tf.Operation, Field]] = {}
        # Bit i stands for input i, the next for "a convolution".
        inputs = {tensor.op: 1 << i for i, tensor in enumerate(run.inputs)}
        self._convolution = 1 << len(run.inputs)
        convolutions = {op: self._convolution for op in operations if "convolution" in self._families[op]}
        self._dependent = flow(run.graph, inputs)
        self._attentions = {operation for operation in operations if _attends(operation, self._dependent)}
        self._rows_of_cells = _rows_of_cells(run.graph, self._dependent)
        self._grid_paths = flow(run.graph, convolutions | inputs, self._has_grid)
        self._input_grids = InputGrids(run, self._layouts, self._grid_paths, self._dependent)
        self.has_convolution = bool(convolutions)
        self.convolves_unseen = bool(convolutions) and not any(map(self._functions.sliding_node, convolutions))
        self._hidden_bits, self.hiding_layers = self._hidden_convolutions(run, list(convolutions))

    def _hidden_convolutions(self, run: SymbolicRun, convolutions: list[tf.Operation]) -> tuple[Bits, list[str]]:
        """Return the bits of the hidden convolutions before each operation, and the layers that hide them.

        A convolution in a function, such as a SavedModel's, is hidden if no layer puts out its grid, or if layers ran
        that could not be seen.
        """
        calls = {op: 1 << bit for bit, op in enumerate(op for op in convolutions if op_type(op).family == "call")}
        grids = flow(run.graph, calls, self._has_grid)
        outputs = [call.output.op for call in run.seen if self._has_grid(call.output) and not run.hidden]
        visible = reduce(or_, map(grids.__getitem__, outputs), 0)
        calls = {operation: bit for operation, bit in calls.items() if not bit & visible}
        bits = flow(run.graph, calls)
        paths = [
            next((call.path for call in run.seen if bits[call.output.op] & bit), "the model itself")
            for bit in calls.values()
        ]
        return bits, list(dict.fromkeys(paths))

    def _has_grid(self, tensor: tf.Tensor) -> bool:
        if tensor.op in self._attentions or not op_type(tensor.op).is_known:
            return False
        if tensor.shape.rank is None or tensor.dtype == tf.variant or tensor.op in self._rows_of_cells:
            return True
        return any(size != 1 for size in self._layouts.get(tensor.op, CHANNELS_LAST).grid(tensor.shape))

    def layout(self, tensor: tf.Tensor) -> Layout:
        """Return the layout of a tensor."""
        return self._layouts.get(tensor.op, self._default)

    def output_layout(self, output: tf.Tensor) -> Layout:
        """Return where the classes of an output of the model stand."""
        return self._layouts.get(output.op, CHANNELS_LAST) if (output.shape.rank or 0) > 2 else CHANNELS_LAST

    def input_grid(self, tensor: tf.Tensor) -> InputGrid:
        """Return where a tensor has its grid from; `NO_INPUT` where it has none."""
        return NO_INPUT if self._has_heads(tensor) else self._input_grids.of(tensor, self.layout(tensor))

    def _has_heads(self, tensor: tf.Tensor) -> bool:
        """Whether a tensor holds the heads of an attention, ``(N, T, heads, D)``, or its weights: no grid."""
        while True:
            operation, row = tensor.op, op_type(tensor.op)
            if operation in self._attentions or _splits_channels(operation):
                return True
            data = [one for one in operation.inputs if self._dependent[one.op]]
            if not (row.reach or row.rearranges) or len(data) != 1:
                return False
            tensor = data[0]

    def field(self, tensor: tf.Tensor, input_grid: InputGrid, sizes: Sequence[int | None]) -> Field | None:
        """Return what a cell of a tensor sees of its input's grid, of these sizes; None where that is not defined."""
        start = None if input_grid is NO_INPUT else self._input_grids.start(input_grid, tensor.shape.rank)
        if start is None:
            return None
        key = (input_grid.index, tuple(sizes))
        if key not in self._fields:
            by_operation = fields(self._graph, self._functions, self.layout, start, key[1])
            self._fields[key] = {output: by_operation[output] for output in self._outputs & by_operation.keys()}
        return self._fields[key].get(tensor.op)

    def hidden_convolutions(self, tensor: tf.Tensor) -> int:
        """Return the bits of the hidden convolutions before a tensor, which may be newer than the run."""
        if tensor.op in self._hidden_bits:
            return self._hidden_bits[tensor.op]
        return reduce(or_, (self._hidden_bits.get(operation, 0) for operation in ancestors(tensor.op)))

    def is_after_convolution(self, tensor: tf.Tensor) -> bool:
        """Whether a convolution precedes a tensor, with a grid all the way."""
        return self._has_grid(tensor) and bool(self._grid_paths[tensor.op] & self._convolution)

    def is_pooling(self, tensor: tf.Tensor) -> bool:
        """Whether a tensor is the output of a pooling, without a convolution in the same function."""
        families = self._families[origin(tensor)]
        return "pooling" in families and "convolution" not in families

    def is_padding(self, tensor: tf.Tensor) -> bool:
        """Whether a tensor is the output of a padding."""
        return op_type(origin(tensor)).family == "padding"

    def is_convolution(self, tensor: tf.Tensor) -> bool:
        """Whether the layer of a tensor convolves, with nothing after it but a bias and an activation."""
        operation = tensor.op
        while "convolution" not in self._families[operation]:
            if not operation.inputs or operation.inputs[0].op in self._outputs:
                return False
            operation = operation.inputs[0].op
        return True


def _rows_of_cells(graph: tf.Graph, dependent: Bits) -> set[tf.Operation]:
    """Return the operations on cells in one row, ``(cells, C)``, as a Dense layer multiplies those of an image."""
    rows: set[tf.Operation] = set()
    for operation in graph.get_operations():
        if not dependent[operation] or not operation.inputs:
            continue
        if operation.type == "Reshape":
            before, after = operation.inputs[0].shape, operation.outputs[0].shape
            is_row = after.rank == 2 and (before.rank or 0) > 2 and keeps_channels(operation)
        else:
            keeps_rows = op_type(operation).reach or op_type(operation).family == "matrix product"
            is_row = keeps_rows and any(tensor.op in rows for tensor in operation.inputs)
        if is_row:
            rows.add(operation)
    return rows


def _attends(operation: tf.Operation, dependent: Bits) -> bool:
    """Whether an operation lets each cell look at all others, or prepares it: the heads of an attention."""
    if op_type(operation).family != "matrix product" or operation.type == "MatMul":
        return False
    data = [tensor for tensor in operation.inputs if dependent.get(tensor.op)]
    ranks = {tensor.shape.rank for tensor in data} | {operation.outputs[0].shape.rank}
    return len(data) > 1 or (operation.type == "Einsum" and len(ranks) > 1)


def _splits_channels(operation: tf.Operation) -> bool:
    """Whether an operation divides the channels of tokens ``(N, T, C)`` among heads."""
    if operation.type != "Reshape":
        return False
    before, after = operation.inputs[0].shape, operation.outputs[0].shape
    return before.rank == 3 and after.rank == 4 and before[1] is not None and before[1] == after[1] and after[-1] != 1
