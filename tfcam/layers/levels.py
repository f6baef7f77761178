"""The levels of a detector's pyramid: which layers its predictions come from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import tensorflow as tf

from tfcam.graph.op_types import op_type
from tfcam.graph.traversal import ancestors
from tfcam.layers.default_layers import default_layer, last_of, on_the_way
from tfcam.layers.trace import LayerCall, Trace
from tfcam.ops.layout import Unplaced

_MIXES = ("convolution", "matrix product", "call")


def levels(trace: Trace, output: LayerCall | None) -> list[LayerCall]:
    """Return the layers that all of a prediction comes from, its class and its box: the finest grid first.

    Of a detector whose predictions are cells of grids, the last layer of each level that leads to both. Where each
    prediction asks all cells, as the queries of a DETR do, the finest grid that is asked.
    """
    calls = [call for call in on_the_way(trace, output) if _is_level(call, trace)]
    if not (trace.explained and calls):
        return [default_layer(trace, output)]
    if all(_is_placed(trace.grids.of(head.outputs[0])) for head in _heads(trace.explained[:1])):
        return _of_each_size(calls, trace) or [default_layer(trace, output)]
    last = last_of(calls, trace, output)
    is_asked_alone = trace.bottlenecks(last, output).holds(last.output)
    return [last] if is_asked_alone else _first_of(calls, trace.explained)[:1]


def _of_each_size(calls: list[LayerCall], trace: Trace) -> list[LayerCall]:
    """Return the last call that all predictions of a grid of each size are computed from."""
    levels: dict[tuple[int, ...], list[tf.Operation]] = {}
    for head in _heads(trace.explained, lambda operation: _is_placed(trace.grids.of(operation.outputs[0]))):
        if grid := trace.grids.of(head.outputs[0]):
            levels.setdefault(tuple(grid.sizes), []).append(head)
    found = []
    for _, heads in sorted(levels.items(), reverse=True):
        before = set.intersection(*(set(ancestors(head)) - {head} for head in heads))
        found += [call for call in calls if call.output.op in before][-1:]
    return list(dict.fromkeys(found))


def _is_level(call: LayerCall, trace: Trace) -> bool:
    return _is_placed(call) and not trace.grids.is_padding(call.output)


def _is_placed(grid: Any) -> bool:
    """Whether a call, or a tensor's grid, is known to lie somewhere on an input."""
    return grid is not None and not isinstance(grid.input_grid.layout, Unplaced)


def _heads(ends: Iterable[tf.Tensor], counts: Callable[[tf.Operation], bool] = lambda _: True) -> list[tf.Operation]:
    """Return the last operations with weights before the ends, of those that count."""
    heads, visits, left = [], set[tf.Operation](), [end.op for end in ends]
    while left:
        operation = left.pop()
        if operation not in visits:
            visits.add(operation)
            if op_type(operation).family in _MIXES and counts(operation):
                heads.append(operation)
            else:
                left += [tensor.op for tensor in operation.inputs]
    return heads


def _first_of(calls: list[LayerCall], tensors: Iterable[tf.Tensor]) -> list[LayerCall]:
    """Return the calls that some tensors are computed from with no other call in between, the finest first."""
    by_operation = {call.output.op: call for call in calls}
    found, visits = set[tf.Operation](), set[tf.Operation]()
    left = [tensor.op for tensor in tensors]
    while left:
        operation = left.pop()
        if operation in visits:
            continue
        visits.add(operation)
        if operation in by_operation:
            found.add(operation)
        else:
            left += [tensor.op for tensor in operation.inputs]
    ordered = [call for operation, call in by_operation.items() if operation in found]
    return sorted(ordered, key=lambda call: -call.cells)
