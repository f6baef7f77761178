"""Strides, centres and theoretical receptive fields of the tensors of a graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

import tensorflow as tf

from tfcam.graph.receptive_axis import Axis
from tfcam.graph.receptive_rules import axis_rules
from tfcam.graph.receptive_sliding import Rule
from tfcam.graph.traversal import Functions, derive_layouts, flow
from tfcam.ops.layout import CHANNELS_LAST, Layout


@dataclass(frozen=True)
class Field:
    """What the cells of a tensor see of the input, along each axis of the grid."""

    axes: tuple[Axis, ...]

    @property
    def strides(self) -> tuple[Fraction, ...]:
        """How many cells of the input lie between two of the tensor's; less than 1 where it is finer."""
        return tuple(axis.stride for axis in self.axes)

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many cells of the input one cell of the tensor is computed from."""
        return tuple(axis.field for axis in self.axes)

    @property
    def centres(self) -> tuple[tuple[Fraction, Fraction], ...] | None:
        """Between which cells of the input the middle of what the first cell sees lies; None where it is not known."""
        known = [axis.centre for axis in self.axes]
        return None if None in known else tuple(known)  # type: ignore[arg-type]

    @property
    def middles(self) -> tuple[float, ...] | None:
        """The middle of those, where the ways through a model differ: all of them are taken."""
        centres = self.centres
        return None if centres is None else tuple(float(low + high) / 2 for low, high in centres)

    def through(self, rules: Sequence[Rule]) -> Field | None:
        """Return the field after an operation with these rules along the axes."""
        axes = tuple(rule(axis) for axis, rule in zip(self.axes, rules, strict=True))
        return None if None in axes else Field(axes)  # type: ignore[arg-type]

    def join(self, other: Field) -> Field | None:
        """Return the field of what is computed cell by cell from both."""
        return self.through([axis.join for axis in other.axes])


class GraphFields:
    """The fields of the tensors of a graph, as it is now; of one whose layers are known, see `tfcam.layers.trace`."""

    def __init__(self, start: tf.Tensor) -> None:
        graph, functions = start.graph, Functions(start.graph)
        known = derive_layouts(graph, functions, {})
        self._fields = partial(fields, graph, functions, lambda tensor: known.get(tensor.op, CHANNELS_LAST), start)
        self._by_sizes: dict[tuple[int | None, ...], dict[tf.Operation, Field]] = {}

    def of(self, tensor: tf.Tensor, sizes: Sequence[int | None]) -> Field | None:
        """Return the field of a tensor, for a grid of these sizes in its start."""
        key = tuple(sizes)
        if key not in self._by_sizes:
            self._by_sizes[key] = self._fields(key)
        return self._by_sizes[key].get(tensor.op)


def fields(
    graph: Any,
    functions: Functions,
    layout: Callable[[tf.Tensor], Layout],
    source: tf.Tensor,
    sizes: Sequence[int | None],
) -> dict[tf.Operation, Field]:
    """Return the fields of the operations computed from a tensor with a grid of these sizes, as far as they have one.

    A cell after a Dense layer on a flattened tensor, a loop or an attention has none. What is pooled to one cell and
    weights the others, as in a squeeze-and-excite block, is not counted: it sees all.
    """
    result = {source.op: Field(tuple(map(Axis.of_input, sizes)))}
    dependent, weights = flow(graph, {source.op: 1}), _weight_shapes(graph)
    for operation in graph.get_operations():
        if operation in result or not operation.outputs or not dependent[operation]:
            continue
        data = [tensor for tensor in operation.inputs if dependent[tensor.op]]
        tensors = [tensor for tensor in data if tensor.op in result]
        if not tensors or any(_has_cells(one, layout(one)) for one in data if one.op not in result):
            continue
        kernels = [weights.get(tensor.name, tensor.shape) for tensor in operation.inputs if not dependent[tensor.op]]
        field = _joint_field([result[tensor.op] for tensor in tensors])
        if field is None:
            continue
        rules = axis_rules(operation, functions, tensors, layout(operation.outputs[0]), kernels, field.axes)
        output_field = rules and field.through(rules)
        if output_field:
            result[operation] = output_field
    return result


def _joint_field(fields: list[Field]) -> Field | None:
    """Return the field of what is computed cell by cell from all; those of a single cell weight the others."""
    first, *others = [field for field in fields if any(axis.size != 1 for axis in field.axes)] or fields
    joint: Field | None = first
    for field in others:
        joint = joint and joint.join(field)
    return joint


def _weight_shapes(graph: Any) -> dict[str, tf.TensorShape]:
    """Return the shapes of the variables that a graph hands on to the functions it calls, by the tensor's name."""
    shapes = {id(variable.handle): variable.shape for variable in graph.variables}
    return {inner.name: shapes[id(outer)] for outer, inner in graph.captures if id(outer) in shapes}


def _has_cells(tensor: tf.Tensor, layout: Layout) -> bool:
    """Whether a tensor has more than one cell, in a grid or in a row, as tokens."""
    shape = tensor.shape
    if shape.rank is None:
        return True
    return shape.rank > 2 and any(size != 1 for size in layout.grid(shape.as_list()))
