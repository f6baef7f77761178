"""Where the axes of each tensor of a graph come from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import tensorflow as tf

from tfcam.backend.function_body import FunctionBodies
from tfcam.graph.axes import BATCH, NONE, Axis, InputAxis, Origin, blind, origin_of, whole
from tfcam.graph.axis_cuts import joint
from tfcam.graph.axis_labels import Labels, Step, joint_axes
from tfcam.graph.axis_rules import labels_of, unknown
from tfcam.graph.op_types import apply, op_type
from tfcam.graph.sight import Sight

#: Operations whose value no constants tell.
_NO_VALUE = ("Placeholder", "PlaceholderWithDefault", "VarHandleOp", "ReadVariableOp", "RandomUniform")
_SHAPES: dict[str, Callable[[list[int]], Any]] = {
    **dict.fromkeys(("Shape", "ShapeN", "VariableShape"), lambda sizes: sizes),
    "Size": np.prod,
    "Rank": len,
}


@dataclass(frozen=True)
class _Given:
    """An input of a function: its labels, whether it depends on the data, and its value where that is known."""

    labels: Labels
    depends: bool
    value: np.ndarray | None


@dataclass(frozen=True)
class Roles:
    """What operations take origins for.

    Attributes
    ----------
    channels : set of Origin
        Those that stand beside the axes that a convolution or pooling slides along.
    slid : set of Origin
        Those that it slides along.
    summed : set of Origin
        Those that a product with a matrix of weights sums over.
    """

    channels: set[Origin] = field(default_factory=set)
    slid: set[Origin] = field(default_factory=set)
    summed: set[Origin] = field(default_factory=set)

    def notice(self, step: Step) -> None:
        """Keep what an operation takes the origins of its input for."""
        family = op_type(step.operation).family
        if family in ("convolution", "pooling"):
            channels = step.channels
            for position, axis in enumerate(step.slid[1:], 1):
                roles = self.channels if position == channels else self.slid
                roles.update(map(origin_of, axis))
        elif step.kind == "MatMul" and step.depends == [True, False]:
            last = step.first[-1]
            self.summed.update(origin_of(digit) for digit in last if len(last) == 1)


class AxisOrigins:
    """The labels of the tensors of a graph.

    Parameters
    ----------
    graph : tf.Graph
    labels : dict
        Those of its inputs, by the operation.
    constants : dict
        Those of what is no input but has a shape that the graph does not tell, such as weights.
    values : dict
        What is known of the values of its inputs, by the operation.
    bodies : FunctionBodies
        The functions that it calls.
    roles : Roles
        Filled while the operations are gone through.
    is_open : bool
        Whether sizes of the model's inputs are open.
    """

    def __init__(
        self,
        graph: Any,
        labels: dict[tf.Operation, Labels],
        constants: dict[tf.Operation, Labels],
        values: dict[tf.Operation, Any],
        bodies: FunctionBodies,
        roles: Roles,
        is_open: bool,
    ) -> None:
        self._bodies, self.roles, self.is_open = bodies, roles, is_open
        self._labels: dict[tf.Operation, list[Labels]] = {operation: [one] for operation, one in labels.items()}
        self._constants = {operation: [one] for operation, one in constants.items()}
        self._values: dict[str, np.ndarray | None] = {f"{operation.name}:0": one for operation, one in values.items()}
        for operation in graph.get_operations():
            if operation not in labels and self._depends(operation):
                self._labels[operation] = self._of_outputs(operation)

    @classmethod
    def of_inputs(cls, graph: Any, inputs: Sequence[tf.Tensor], sizes: Sequence[Sequence[int]]) -> AxisOrigins:
        """Return the labels of a graph of a model, for inputs of these sizes."""
        labels: dict[tf.Operation, Labels] = {}
        for index, (tensor, shape) in enumerate(zip(inputs, sizes, strict=True)):
            cells = [
                whole(InputAxis(index, axis), size, Sight.of_input(is_open=tensor.shape[axis] is None))
                for axis, size in enumerate(shape[1:], 1)
            ]
            labels[tensor.op] = Labels((*(whole(BATCH, size) for size in shape[:1]), *cells), {})
        shapes = {id(variable.handle): variable.shape for variable in graph.variables}
        weights = {inner.op: Labels.of_shape(shapes[id(one)]) for one, inner in graph.captures if id(one) in shapes}
        is_open = any(None in tensor.shape[1:].as_list() for tensor in inputs if tensor.shape.rank)
        return cls(graph, labels, weights, {}, FunctionBodies(graph), Roles(), is_open)

    def __getitem__(self, tensor: tf.Tensor) -> Labels:
        """Return the labels of a tensor; of one that depends on no input, that its axes have no position."""
        operation = tensor.op
        if tensor in self:
            return self._labels[operation][tensor.value_index]
        if operation not in self._constants:
            self._constants[operation] = self._of_constant(operation)
        return self._constants[operation][tensor.value_index]

    def __contains__(self, tensor: tf.Tensor) -> bool:
        """Whether a tensor is computed from the inputs' values; what a gradient lets a function put out is not."""
        return tensor.value_index < len(self._labels.get(tensor.op, ()))

    def _depends(self, operation: tf.Operation) -> bool:
        labels = self._labels
        if not any(tensor.op in labels for tensor in operation.inputs):
            return False
        return bool(operation.outputs) and op_type(operation).family != "shape"

    def _of_constant(self, operation: tf.Operation) -> list[Labels]:
        result = []
        for output in operation.outputs:
            known = output.shape.rank is not None and output.dtype != tf.variant
            sizes: Any = output.shape.as_list() if known else None
            if sizes is None or None in sizes:
                if operation.type in ("Fill", "RandomUniform", "RandomStandardNormal"):
                    sizes = self.value(operation.inputs[0])
                elif operation.type == "ReadVariableOp":
                    return [self[operation.inputs[0]]]
                else:
                    return [one if one.element else Labels.of_shape(one.sizes) for one in self._of_outputs(operation)]
            result.append(Labels.of_shape([1] if sizes is None else sizes))
        return result

    def step(self, operation: tf.Operation) -> Step:
        """Return an operation with what is known of its inputs."""
        inputs = [self[tensor] for tensor in operation.inputs]
        depends = [tensor in self for tensor in operation.inputs]
        return Step(operation, inputs, depends, lambda number: self.value(operation.inputs[number]), self.is_open)

    def _of_outputs(self, operation: tf.Operation) -> list[Labels]:
        step = self.step(operation)
        self.roles.notice(step)
        rules = self._CALLS.get(operation.type)
        result = rules(self, step) if rules else labels_of(step)
        if len(result) == len(operation.outputs):
            return result
        # The other outputs, such as the statistics of a normalisation, have no position.
        return [*result, *unknown(step)[len(result) :]]

    def value(self, tensor: tf.Tensor) -> np.ndarray | None:
        """Return the value of a tensor that follows from constants and the sizes of others."""
        if tensor.name not in self._values:
            self._values[tensor.name] = self._computed(tensor)
        return self._values[tensor.name]

    def _computed(self, tensor: tf.Tensor) -> np.ndarray | None:
        operation = tensor.op
        if operation.type == "Const":
            return np.asarray(tf.make_ndarray(operation.get_attr("value")))
        if operation.type in _SHAPES:
            sizes = self[operation.inputs[tensor.value_index]].sizes
            return np.asarray(_SHAPES[operation.type](sizes), tensor.dtype.as_numpy_dtype)
        if operation in self._labels or operation.type in _NO_VALUE or tensor.dtype in (tf.variant, tf.resource):
            return None
        values = [self.value(one) for one in operation.inputs]
        if any(value is None for value in values):
            return None
        try:
            with tf.init_scope():
                outputs = apply(operation, [tf.constant(value) for value in values])
        except (TypeError, ValueError, AttributeError, tf.errors.OpError):
            return None
        return np.asarray(outputs[tensor.value_index])

    def _inside(self, name: str, given: Sequence[_Given]) -> list[Labels]:
        """Return the labels of what a function puts out of inputs of these labels."""
        body = self._bodies[name]
        pairs = [(tensor.op, one) for tensor, one in zip(body.inputs, given, strict=True)]
        labels = {operation: one.labels for operation, one in pairs if one.depends}
        constants = {operation: one.labels for operation, one in pairs if not one.depends}
        values = {operation: one.value for operation, one in pairs if one.value is not None}
        inner = AxisOrigins(body, labels, constants, values, self._bodies, self.roles, self.is_open)
        return [inner[tensor] for tensor in body.outputs]

    def _given(self, step: Step) -> list[_Given]:
        return [
            _Given(labels, depends, step.value(number))
            for number, (labels, depends) in enumerate(zip(step.inputs, step.depends, strict=True))
        ]

    def _call(self, step: Step) -> list[Labels]:
        return self._inside(step.operation.get_attr("f").name, self._given(step))

    def _loop(self, step: Step) -> list[Labels]:
        """Return the labels after a loop: what its second run gives, as its lists are empty before the first."""
        name, given = step.operation.get_attr("body").name, self._given(step)
        body = self._bodies[name]
        stays = [inside is after for inside, after in zip(body.inputs, body.outputs, strict=True)]
        given = [
            one if same else replace(one, value=None, depends=True) for one, same in zip(given, stays, strict=True)
        ]
        for _ in range(2):
            outputs = self._inside(name, given)
            given = [
                one if same else replace(one, labels=_after(one.labels, other))
                for one, other, same in zip(given, outputs, stays, strict=True)
            ]
        return [_outside(one.labels) for one in given]

    def _branches(self, step: Step) -> list[Labels]:
        names = ("then_branch", "else_branch") if "If" in step.kind else ("branches",)
        functions = [one for name in names for one in np.atleast_1d(step.operation.get_attr(name))]
        first, *others = [self._inside(function.name, self._given(step)[1:]) for function in functions]
        for other in others:
            first = [
                Labels.of([joint(*pair, step.name) for pair in zip(one.axes, two.axes, strict=False)], one, two)
                for one, two in zip(first, other, strict=True)
            ]
        return first

    def _list_of(self, step: Step) -> list[Labels]:
        first, *others = step.inputs[0].axes
        return [Labels((first,), {}, Labels(tuple(others), step.inputs[0].picks))]

    def _new_list(self, step: Step) -> list[Labels]:
        count = step.value(1)
        return [Labels((whole(NONE, 0 if count is None else int(count)),), {}, None)]

    def _stacked(self, step: Step) -> list[Labels]:
        given = step.inputs[0]
        if given.element is None:
            return unknown(step)
        return [Labels((*given.axes, *given.element.axes), given.element.picks)]

    def _index(self, step: Step) -> int | str:
        """Return the index into a list: a number, or the name of what computes it."""
        value, tensor = step.value(1), step.operation.inputs[1]
        while tensor.op.type == "Identity":
            tensor = tensor.op.inputs[0]
        return str(tensor.name) if value is None else int(value)

    def _item(self, step: Step) -> list[Labels]:
        [axis], element = step.inputs[0].axes, step.inputs[0].element
        if element is None:
            return unknown(step)
        return [Labels(element.axes, {**element.picks, axis: self._index(step)})]

    def _list_with(self, step: Step) -> list[Labels]:
        given, _, item = step.inputs
        index = self._index(step)
        [axis] = given.axes
        found = next((one for one, place in item.picks.items() if place == index), axis)
        return [Labels((joint(axis, found, step.name),), {}, item)]

    _CALLS: dict[str, Callable[[AxisOrigins, Step], list[Labels]]] = {
        **dict.fromkeys(("PartitionedCall", "StatefulPartitionedCall"), _call),
        **dict.fromkeys(("While", "StatelessWhile"), _loop),
        **dict.fromkeys(("If", "StatelessIf", "Case", "StatelessCase"), _branches),
        "TensorListFromTensor": _list_of,
        "TensorListReserve": _new_list,
        "TensorListStack": _stacked,
        "TensorListGetItem": _item,
        "TensorListSetItem": _list_with,
    }


def _after(before: Labels, after: Labels) -> Labels:
    """Return the labels of a variable of a loop, from those before a run and after it."""
    if before.element is None and after.element is None:
        return replace(after, axes=tuple(joint_axes([before.axes, after.axes], "While")))
    return after


def _outside(labels: Labels) -> Labels:
    """Return labels of a loop's variable behind it: its cells see what the loop saw, and its indices are no more."""
    picks: dict[Axis, int | str] = {axis: index for axis, index in labels.picks.items() if isinstance(index, int)}
    return Labels(tuple(map(blind, labels.axes)), picks, labels.element and _outside(labels.element))
