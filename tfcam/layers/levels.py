"""The levels of a detector's pyramid: which layers its predictions come from."""

from __future__ import annotations

from collections.abc import Iterable

import tensorflow as tf

from tfcam.graph.op_types import op_type
from tfcam.graph.traversal import ancestors
from tfcam.layers.default_layers import default_layer, last_of_branches, on_the_way
from tfcam.layers.trace import LayerCall, Trace

_MIXES = ("convolution", "matrix product", "call")


def levels(trace: Trace, output: LayerCall | None) -> list[LayerCall]:
    """Return the layers that all of a prediction comes from, its class and its box: the finest grid first.

    Of a detector whose predictions are cells of grids, the last layer of each level that leads to both. Where each
    prediction asks all cells, as the queries of a DETR do, the finest grid that is asked.
    """
    if not trace.explained:
        return [default_layer(trace, output)]
    calls = on_the_way(trace, output)
    heads, behind = _heads(trace.explained)
    if not any(trace.grids.of(tensor) for operation in heads for tensor in operation.outputs):
        return [_finest(calls, trace, output)]
    common = set.intersection(*(set(ancestors(end.op)) for end in trace.explained)) - behind
    by_operation = {call.output.op: call for call in calls if call.output.op in common}
    found = _first_of(by_operation, heads)
    ordered = [call for operation, call in by_operation.items() if operation in found]
    return sorted(ordered, key=lambda call: -call.cells) or [default_layer(trace, output)]


def _finest(calls: list[LayerCall], trace: Trace, output: LayerCall | None) -> LayerCall:
    """Return the finest of the grids that are asked: the last layer of it."""
    asked = last_of_branches(trace, output)
    return max(asked, key=lambda call: call.cells) if len(asked) > 1 else default_layer(trace, output)


def _heads(ends: Iterable[tf.Tensor]) -> tuple[list[tf.Operation], set[tf.Operation]]:
    """Return the last operations with weights before the ends, and all operations from there on."""
    heads, behind, left = [], set[tf.Operation](), [end.op for end in ends]
    while left:
        operation = left.pop()
        if operation not in behind:
            behind.add(operation)
            if op_type(operation).family in _MIXES:
                heads.append(operation)
            else:
                left += [tensor.op for tensor in operation.inputs]
    return heads, behind


def _first_of(wanted: Iterable[tf.Operation], operations: Iterable[tf.Operation]) -> set[tf.Operation]:
    """Return which of the wanted operations some operations are computed from with no other wanted one in between."""
    wanted, found, visits = set(wanted), set[tf.Operation](), set[tf.Operation]()
    left = [tensor.op for operation in operations for tensor in operation.inputs]
    while left:
        operation = left.pop()
        if operation in visits:
            continue
        visits.add(operation)
        if operation in wanted:
            found.add(operation)
        else:
            left += [tensor.op for tensor in operation.inputs]
    return found
