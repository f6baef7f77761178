"""Which tensors of a run have a grid, which input it comes from, and what precedes it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import or_

import tensorflow as tf

from tfcam.backend.symbolic_call import SymbolicRun
from tfcam.graph.attentions import is_skip_sum, softmax_operations
from tfcam.graph.axes import BATCH, digits_of, has_cells, has_positions, is_lost, origin_of, positions_of
from tfcam.graph.bottlenecks import Bottlenecks
from tfcam.graph.dependence import Dependence
from tfcam.graph.op_types import op_type
from tfcam.graph.traversal import Functions, ancestors, flow, origin
from tfcam.layers.graph_grids import GraphGrids
from tfcam.ops.layout import CHANNELS_FIRST, CHANNELS_LAST, AxisLayout, Layout, Unplaced, find_layout


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
        self._functions = Functions(run.graph)
        operations = run.graph.get_operations()
        bodies = {operation: set(self._functions.operations(operation)) for operation in operations}
        self._families = {operation: {op_type(kind).family for kind, _ in body} for operation, body in bodies.items()}
        formats = {data_format for body in bodies.values() for _, data_format in body}
        self.is_channels_first = any(find_layout(data_format) == CHANNELS_FIRST for data_format in formats)
        self._outputs = {call.output.op for call in run.seen}
        self._grids = GraphGrids(run.graph, run.inputs)
        self.of, self.field, self.needs_sizes = self._grids.of, self._grids.field, self._grids.needs_sizes
        self._graph, self._inputs = run.graph, run.inputs
        self._dependences: dict[tuple[int, ...], Dependence] = {}
        self._bottlenecks: dict[tuple[int, ...], Bottlenecks] = {}
        convolutions = {op: 1 for op in operations if "convolution" in self._families[op] or self._embeds_patches(op)}
        self._after_convolution = flow(run.graph, convolutions, self._has_cells)
        self.has_convolution = bool(convolutions)
        self.convolves_unseen = bool(convolutions) and not any(map(self._functions.sliding_node, convolutions))
        self._hidden_bits, self.hiding_layers = self._hidden_convolutions(run, list(convolutions))

    def _hidden_convolutions(
        self, run: SymbolicRun, convolutions: list[tf.Operation]
    ) -> tuple[dict[tf.Operation, int], list[str]]:
        """Return the bits of the hidden convolutions before each operation, and the layers that hide them.

        A convolution in a function, such as a SavedModel's, is hidden if no layer puts out its grid, or if layers ran
        that could not be seen.
        """
        calls = {op: 1 << bit for bit, op in enumerate(op for op in convolutions if op_type(op).family == "call")}
        grids = flow(run.graph, calls, self._has_cells)
        outputs = [call.output.op for call in run.seen if self._has_cells(call.output) and not run.hidden]
        visible = reduce(or_, map(grids.__getitem__, outputs), 0)
        calls = {operation: bit for operation, bit in calls.items() if not bit & visible}
        bits = flow(run.graph, calls)
        paths = [
            next((call.path for call in run.seen if bits[call.output.op] & bit), "the model itself")
            for bit in calls.values()
        ]
        return bits, list(dict.fromkeys(paths))

    def _embeds_patches(self, operation: tf.Operation) -> bool:
        """Whether an operation is a product of weights with the pixels of patches: a convolution in other words."""
        if op_type(operation).family != "matrix product":
            return False
        origins = self._grids.origins
        inputs = [tensor for tensor in operation.inputs if tensor in origins]
        after = {origin_of(digit) for one in operation.outputs for digit in digits_of(origins[one].axes)}
        pixels = [digit for one in inputs for digit in digits_of(origins[one].axes) if not digit.is_whole]
        gone = [digit for digit in pixels if positions_of(digit.origin) and origin_of(digit) not in after]
        return len(inputs) == 1 and bool(gone) and self._has_cells(operation.outputs[0])

    def _has_cells(self, tensor: tf.Tensor) -> bool:
        """Whether a tensor has more than one cell, in a grid or in a row."""
        if not op_type(tensor.op).is_known:
            return False
        return tensor.dtype == tf.variant or has_cells(self._grids.origins[tensor].axes)

    def dependence(self, ends: Sequence[tf.Tensor]) -> Dependence:
        """Return what these tensors depend on, and through which axes."""
        key = tuple(map(id, ends))
        if key not in self._dependences:
            self._dependences[key] = Dependence(self._graph, self._grids.origins, ends)
        return self._dependences[key]

    def bottlenecks(self, ends: Sequence[tf.Tensor], index: int) -> Bottlenecks:
        """Return the tensors through which goes all that these know of the cells of an input."""
        key = (*map(id, ends), index)
        if key not in self._bottlenecks:
            origins, dependence = self._grids.origins, self.dependence(ends)
            self._bottlenecks[key] = Bottlenecks(self._graph, origins, dependence, self._inputs[index])
        return self._bottlenecks[key]

    def attentions(self, ends: Sequence[tf.Tensor]) -> list[tf.Operation]:
        """Return the softmaxes over tokens that these are computed from, in order."""
        return list(softmax_operations(self._graph, self._grids.origins, ends))

    def is_skip_sum(self, tensor: tf.Tensor) -> bool:
        """Whether a tensor of tokens ends a skip connection."""
        return is_skip_sum(origin(tensor), self._grids.origins)

    def are_unread_tokens(self, tensor: tf.Tensor) -> bool:
        """Whether a tensor ``(N, tokens, channels)`` is a product with weights, and no grid that lies on an input."""
        if tensor not in self._grids.origins or tensor.shape.rank != 3:
            return False
        [batch, tokens, _], grid = self._grids.origins[tensor].axes, self.of(tensor)
        is_batch = len(batch) == 1 and batch[0].origin == BATCH
        is_told = grid is not None and not isinstance(grid.input_grid.layout, Unplaced)
        comes_from_cells = has_positions((tokens,)) or is_lost((tokens,))
        return is_batch and not is_told and comes_from_cells and self._is_made_by("matrix product", tensor)

    def output_layout(self, output: tf.Tensor) -> Layout | AxisLayout:
        """Return where the classes of an output of the model stand."""
        grid = self.of(output)
        has_classes = grid and len(grid.sizes) + 2 == output.shape.rank
        return grid.layout if grid and has_classes else CHANNELS_LAST

    def hidden_convolutions(self, tensor: tf.Tensor) -> int:
        """Return the bits of the hidden convolutions before a tensor, which may be newer than the run."""
        if tensor.op in self._hidden_bits:
            return self._hidden_bits[tensor.op]
        return reduce(or_, (self._hidden_bits.get(operation, 0) for operation in ancestors(tensor.op)))

    def is_after_convolution(self, tensor: tf.Tensor) -> bool:
        """Whether a convolution precedes a tensor, with a grid all the way."""
        return self._has_cells(tensor) and bool(self._after_convolution[tensor.op])

    def end_of_positions(self, tensor: tf.Tensor) -> str:
        """Return the name of the operation before a tensor behind which no axis is one of an input; "" if none is."""
        origins, left, visits = self._grids.origins, [tensor.op], set[tf.Operation]()
        while left:
            operation = left.pop(0)
            data = [one for one in operation.inputs if one in origins]
            if any(map(has_positions, (origins[one].axes for one in data))):
                return "" if has_positions(origins[operation.outputs[0]].axes) else str(operation.name)
            left += [one.op for one in data if one.op not in visits]
            visits.update(one.op for one in data)
        return ""

    def is_pooling(self, tensor: tf.Tensor) -> bool:
        """Whether a tensor is the output of a pooling, without a convolution in the same function."""
        families = self._families[origin(tensor)]
        return "pooling" in families and "convolution" not in families

    def is_padding(self, tensor: tf.Tensor) -> bool:
        """Whether a tensor is the output of a padding."""
        return op_type(origin(tensor)).family == "padding"

    def is_convolution(self, tensor: tf.Tensor) -> bool:
        """Whether the layer of a tensor convolves, with nothing after it but a bias and an activation."""
        return self._is_made_by("convolution", tensor)

    def _is_made_by(self, family: str, tensor: tf.Tensor) -> bool:
        """Whether a layer's last operation but for a bias and an activation is of this family."""
        operation = tensor.op
        while family not in self._families[operation]:
            if not operation.inputs or operation.inputs[0].op in self._outputs:
                return False
            operation = operation.inputs[0].op
        return True
