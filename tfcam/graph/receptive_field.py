"""Strides, centres and theoretical receptive fields of the tensors of a graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import tensorflow as tf

from tfcam.graph.axes import Origin, Part, has_cells, holds
from tfcam.graph.axis_origins import AxisOrigins
from tfcam.graph.receptive_axis import Axis, Window
from tfcam.graph.receptive_rules import GridStep, axis_rules
from tfcam.graph.receptive_sliding import Rule
from tfcam.graph.traversal import Functions


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


def fields(
    graph: Any, functions: Functions, labels: AxisOrigins, origins: Sequence[Origin], sizes: Sequence[int | None]
) -> dict[tf.Operation, Field]:
    """Return the fields of the operations that have cells of these origins, as many as sizes say, if they have one.

    A cell after a Dense layer on a flattened tensor, a loop or an attention has none. What is pooled to one cell and
    weights the others, as in a squeeze-and-excite block, is not counted: it sees all.
    """
    starts = {tensor.op for tensor in labels.inputs if all(holds(labels[tensor].axes, origin) for origin in origins)}
    start = Field(tuple(map(_start, origins, sizes)))
    result = {operation: start for operation in starts}
    weights = _weight_shapes(graph)
    for operation in graph.get_operations():
        if operation in result or not operation.outputs or operation.outputs[0] not in labels:
            continue
        data = [tensor for tensor in operation.inputs if tensor in labels]
        tensors = [tensor for tensor in data if tensor.op in result]
        if not tensors or any(has_cells(labels[one].axes) for one in data if one.op not in result):
            continue
        kernels = [weights.get(one.name, one.shape) for one in operation.inputs if one not in labels]
        field = _joint_field([result[tensor.op] for tensor in tensors])
        if field is None:
            continue
        step = GridStep(operation, functions, tensors, kernels, labels, tuple(origins), field.axes)
        rules = axis_rules(step)
        output_field = rules and field.through(rules)
        if output_field:
            result[operation] = output_field
    return result


def _start(origin: Origin, size: int | None) -> Axis:
    """Return the axis of an origin's own cells, on so many cells of the input: several where it is a part of them."""
    axis = Axis.of_input(size)
    if size is None or not isinstance(origin, Part) or size == origin.size:
        return axis
    step = size // origin.size
    return axis.through(Window.convolution(step, step), origin.size)


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
