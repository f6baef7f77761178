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
from tfcam.graph.traversal import (
    Functions,
    ancestors,
    derive_layouts,
    flow,
    keeps_channels,
    origin,
)
from tfcam.layers.input_grid import InputGrid, InputGrids
from tfcam.ops.layout import CHANNELS_FIRST, CHANNELS_LAST, Layout, find_layout

#: Operations on the heads of an attention, and on cells in one row.
_ON_HEADS = {"Identity", "Cast", "Transpose", "Reshape", "AddV2", "BiasAdd", "Mul", "RealDiv", "Softmax", "SelectV2"}
_ON_CELLS = {"Identity", "Cast", "MatMul", "AddV2", "BiasAdd", "Mul", "Relu"}


class Grids:
    """How the tensors of a run are grids, and where these come from."""

    def __init__(self, run: SymbolicRun) -> None:
        functions = Functions(run.graph)
        declared = {
            call.output.op: layout
            for call in run.seen
            if (layout := find_layout(getattr(call.layer, "data_format", None))) and call.output.shape.rank > 2
        }
        self._layouts = derive_layouts(run.graph, functions, declared)
        self._default = find_layout(default_data_format()) or CHANNELS_LAST
        seen = {operation: set(functions.operations(operation)) for operation in run.graph.get_operations()}
        self._families = {operation: {op_type(kind).family for kind, _ in inside} for operation, inside in seen.items()}
        #: Whether an operation wants its channels first.
        self.is_channels_first = any(
            find_layout(data_format) == CHANNELS_FIRST for inside in seen.values() for _, data_format in inside
        )
        # Bit i stands for input i, the next for "a convolution".
        inputs = {tensor.op: 1 << i for i, tensor in enumerate(run.inputs)}
        self._convolved = 1 << len(run.inputs)
        convolutions = {op: self._convolved for op, families in self._families.items() if "convolution" in families}
        self._related = related = flow(run.graph, inputs)
        self._attentions = {op for op in run.graph.get_operations() if _attends(op, related)}
        self._folded = _folded(run.graph, related)
        self._gridded = flow(run.graph, convolutions | inputs, self._has_grid)
        self._input_grids = InputGrids(run, self._layouts, self._gridded, related)
        self._graph, self._functions = run.graph, functions
        self._outputs = {call.output.op for call in run.seen}
        self._fields: dict[tuple[int, tuple[int | None, ...]], dict[tf.Operation, Field]] = {}
        self.has_convolution = bool(convolutions)
        self.convolves_unseen = bool(convolutions) and not any(map(functions.sliding_node, convolutions))
        calls = {op: 1 << h for h, op in enumerate(op for op in convolutions if op_type(op).family == "call")}
        shown = 0 if run.hidden else self._shown(run, calls)
        self._hidden = flow(run.graph, {op: bit for op, bit in calls.items() if not bit & shown})
        #: Paths of the layers that convolve in functions alone, and put out no grid afterwards.
        self.hiding_layers = list(
            dict.fromkeys(
                next((call.path for call in run.seen if self._hidden[call.output.op] & bit), "the model itself")
                for bit in calls.values()
                if not bit & shown
            )
        )

    def _has_grid(self, tensor: tf.Tensor) -> bool:
        if tensor.op in self._attentions:
            return False
        if tensor.shape.rank is None or tensor.dtype == tf.variant or tensor.op in self._folded:
            return True
        return any(size != 1 for size in self._layouts.get(tensor.op, CHANNELS_LAST).grid(tensor.shape))

    def _shown(self, run: SymbolicRun, calls: dict[tf.Operation, int]) -> int:
        """Return the bits of those function calls whose grid a layer puts out."""
        grids, bits = flow(run.graph, calls, self._has_grid), 0
        for call in run.seen:
            bits |= grids[call.output.op] if self._has_grid(call.output) else 0
        return bits

    def layout(self, tensor: tf.Tensor) -> Layout:
        """Return the layout of a tensor."""
        return self._layouts.get(tensor.op, self._default)

    def output_layout(self, output: tf.Tensor) -> Layout:
        """Return where the classes of an output of the model stand."""
        return self._layouts.get(output.op, CHANNELS_LAST) if (output.shape.rank or 0) > 2 else CHANNELS_LAST

    def input_grid(self, tensor: tf.Tensor) -> InputGrid | None:
        """Return where a tensor has its grid from; None where it has none."""
        return None if self._is_of_heads(tensor) else self._input_grids.of(tensor, self.layout(tensor))

    def _is_of_heads(self, tensor: tf.Tensor) -> bool:
        """Whether a tensor holds the heads of an attention, ``(N, T, heads, D)``, or what they look at: no grid."""
        while True:
            operation = tensor.op
            if operation in self._attentions or _splits_channels(operation):
                return True
            computed = [given for given in operation.inputs if self._related[given.op]]
            if operation.type not in _ON_HEADS or len(computed) != 1:
                return False
            tensor = computed[0]

    def field(self, tensor: tf.Tensor, input_grid: InputGrid | None, sizes: Sequence[int | None]) -> Field | None:
        """Return what a cell of a tensor sees of its input's grid, of these sizes; None where that is not defined."""
        if input_grid is None or (start := self._input_grids.start(input_grid, tensor.shape.rank)) is None:
            return None
        key = (input_grid.index, tuple(sizes))
        if key not in self._fields:
            found = fields(self._graph, self._functions, self.layout, start, key[1])
            self._fields[key] = {output: found[output] for output in self._outputs & found.keys()}
        return self._fields[key].get(tensor.op)

    def is_after_convolution(self, tensor: tf.Tensor) -> bool:
        """Whether a convolution stands before a tensor, with a grid all the way."""
        return bool(self._gridded[tensor.op] & self._convolved)

    def hidden(self, tensor: tf.Tensor) -> int:
        """Return the bits of the hidden convolutions that stand before a tensor, which may be newer than the run."""
        if tensor.op in self._hidden:
            return self._hidden[tensor.op]
        return reduce(or_, (self._hidden.get(operation, 0) for operation in ancestors(tensor.op)))

    def is_pooled(self, tensor: tf.Tensor) -> bool:
        """Whether a pooling, and no convolution beside it, gave a tensor its values."""
        families = self._families[origin(tensor)]
        return "pooling" in families and "convolution" not in families

    def is_convolution(self, tensor: tf.Tensor, outputs: set[tf.Operation]) -> bool:
        """Whether a convolution gave a tensor its values, with none of these operations, layers' outputs, between."""
        operation = tensor.op
        while "convolution" not in self._families[operation]:
            if not operation.inputs or operation.inputs[0].op in outputs:
                return False
            operation = operation.inputs[0].op
        return True


def _folded(graph: tf.Graph, related: dict[tf.Operation, int]) -> set[tf.Operation]:
    """Return the operations on cells in one row, ``(cells, C)``, as a Dense layer multiplies those of an image."""
    folded: set[tf.Operation] = set()
    for operation in graph.get_operations():
        if not related[operation] or not operation.inputs:
            continue
        if operation.type == "Reshape":
            before, after = operation.inputs[0].shape, operation.outputs[0].shape
            is_folded = after.rank == 2 and (before.rank or 0) > 2 and keeps_channels(operation)
        else:
            is_folded = operation.type in _ON_CELLS and any(given.op in folded for given in operation.inputs)
        if is_folded:
            folded.add(operation)
    return folded


def _attends(operation: tf.Operation, related: dict[tf.Operation, int]) -> bool:
    """Whether an operation lets each cell look at all others, or prepares it: the heads of an attention."""
    if operation.type not in ("Einsum", "BatchMatMulV2", "BatchMatMulV3"):
        return False
    computed = [tensor for tensor in operation.inputs if related.get(tensor.op)]
    ranks = {tensor.shape.rank for tensor in computed} | {operation.outputs[0].shape.rank}
    return len(computed) > 1 or (operation.type == "Einsum" and len(ranks) > 1)


def _splits_channels(operation: tf.Operation) -> bool:
    """Whether an operation divides the channels of tokens ``(N, T, C)`` among heads."""
    if operation.type != "Reshape":
        return False
    before, after = operation.inputs[0].shape, operation.outputs[0].shape
    return before.rank == 3 and after.rank == 4 and before[1] is not None and before[1] == after[1] and after[-1] != 1
