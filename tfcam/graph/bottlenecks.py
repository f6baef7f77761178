"""Bottlenecks: tensors through which goes all that a score knows of the cells of an input."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate

import tensorflow as tf

from tfcam.graph.axes import Axis, has_cells
from tfcam.graph.axis_origins import AxisOrigins
from tfcam.graph.dependence import Dependence
from tfcam.graph.op_types import op_type
from tfcam.graph.traversal import flow


class Bottlenecks:
    """The bottlenecks between an input and the ends, and the factors that attentions multiply.

    Where a class token is read, the norm before the last attention is one. The keys and the values that are made
    of it are none: each goes its own way.

    Parameters
    ----------
    graph : tf.Graph
    origins : AxisOrigins
    dependence : Dependence
        That of the ends.
    source : tf.Tensor
        The input.
    """

    def __init__(self, graph: tf.Graph, origins: AxisOrigins, dependence: Dependence, source: tf.Tensor) -> None:
        self._origins, operations = origins, graph.get_operations()
        self._positions = {operation: position for position, operation in enumerate(operations)}
        self._ways = self._on_the_way(graph, dependence, source)
        self._crossings = self._count_crossings(operations, dependence)
        self._parts = self._find_parts_of_attentions(operations, dependence)
        self._factors = self._find_factors(operations)

    def holds(self, tensor: tf.Tensor) -> bool:
        """Whether a tensor is a bottleneck."""
        return tensor.op in self._ways and not self._crossings[self._positions[tensor.op]]

    def serves_attention(self, tensor: tf.Tensor) -> bool:
        """Whether all that the ends know of a tensor's cells is what an attention makes of it, such as of its keys."""
        return tensor.op in self._parts

    def is_several_factors(self, tensor: tf.Tensor) -> bool:
        """Whether a tensor holds several factors of an attention side by side, such as queries, keys and values."""
        return tensor.op in self._factors and _channels(self._origins[tensor].axes) > self._factors[tensor.op]

    def _on_the_way(self, graph: tf.Graph, dependence: Dependence, source: tf.Tensor) -> set[tf.Operation]:
        """Return the operations on the way from the input that are live, or lead to one that is."""
        follows = flow(graph, {source.op: 1}, lambda tensor: tensor in self._origins)
        ways: set[tf.Operation] = set()
        for operation in reversed(graph.get_operations()):
            if follows[operation] and any(map(dependence.is_live, operation.outputs)):
                ways.add(operation)
            if operation in ways:
                # What is pooled weights the cells again, as in squeeze and excite.
                before = [tensor for tensor in operation.inputs if follows[tensor.op] and tensor in self._origins]
                ways.update(tensor.op for tensor in before if dependence.is_needed(tensor))
        return ways

    def _count_crossings(self, operations: Sequence[tf.Operation], dependence: Dependence) -> list[int]:
        """Return how many edges go past each operation, in the order in which they are computed."""
        changes = [0] * (len(operations) + 1)
        for operation in operations:
            for number, tensor in enumerate(operation.inputs):
                if tensor.op not in self._ways or tensor not in self._origins:
                    continue
                end = len(operations) if dependence.is_live_input(operation, number) else None
                end = self._positions[operation] if operation in self._ways else end
                if end is not None:
                    changes[self._positions[tensor.op] + 1] += 1
                    changes[end] -= 1
        return list(accumulate(changes))

    def _find_parts_of_attentions(
        self, operations: Sequence[tf.Operation], dependence: Dependence
    ) -> set[tf.Operation]:
        """Return the operations whose cells are live through attentions alone."""
        live, others = set[tf.Operation](), set[tf.Operation]()
        for operation in reversed(operations):
            is_part = self._is_attention(operation) or (operation in live and operation not in others)
            for number, tensor in enumerate(operation.inputs):
                if dependence.is_live_input(operation, number):
                    (live if is_part else others).add(tensor.op)
        return live - others

    def _is_attention(self, operation: tf.Operation) -> bool:
        """Whether an operation is a product of two tensors with cells."""
        inputs = [tensor for tensor in operation.inputs if tensor in self._origins]
        has_factors = len(inputs) > 1 and all(has_cells(self._origins[tensor].axes) for tensor in inputs)
        return has_factors and op_type(operation).family == "matrix product"

    def _find_factors(self, operations: Sequence[tf.Operation]) -> dict[tf.Operation, int]:
        """Return what attentions multiply, with nothing learned in between, and how many channels that has at most."""
        factors: dict[tf.Operation, int] = {}
        for operation in reversed(operations):
            inputs = [tensor for tensor in operation.inputs if tensor in self._origins]
            found = [factors[operation]] * len(inputs) if operation in factors else []
            if op_type(operation).family in ("matrix product", "convolution"):
                is_attention = self._is_attention(operation)
                found = [_channels(self._origins[tensor].axes) for tensor in inputs] if is_attention else []
            for tensor, count in zip(inputs, found, strict=False):
                factors[tensor.op] = max(count, factors.get(tensor.op, 0))
        return factors


def _channels(axes: Sequence[Axis]) -> int:
    """Return how many numbers a tensor holds for each of its cells."""
    return math.prod(digit.size for axis in axes for digit in axis if digit.is_free)
