"""Bias terms: the constants that a model adds to its data, and their share of a score."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import tensorflow as tf

from tfcam.graph.op_types import apply, is_affine_in, is_differentiable, of_floats, op_type
from tfcam.graph.traversal import Functions, ancestors, flow, gradients_of

#: What a constant may be: one of the model's, or of its activation functions; or what comes around a layer.
BIAS, BYPASS = "bias", "bypass"


@dataclass(frozen=True)
class Bias:
    """A constant that is part of a tensor.

    Attributes
    ----------
    tensor : tf.Tensor
        ``(N, ...)``: what the constant is part of.
    constant : tf.Tensor or None
        The constant, broadcastable to it; None where an operation has one that is not known.
    origin : str
        `BIAS`, `BYPASS`, or the operation that is neither affine nor a function of each number alone.
    groups : int
        Bit g is set where the constant is one for the data of group g.
    """

    tensor: tf.Tensor
    constant: tf.Tensor | None
    origin: str
    groups: int


def biases(
    groups: Sequence[list[tf.Tensor]], output: tf.Tensor, implicit: bool, inputs: Sequence[tf.Tensor] = ()
) -> list[Bias]:
    """Return the constants that an output was computed with from tensors of its graph, for each group of them.

    An operation ``f`` of data ``x`` has the constant ``f(x) - df/dx x``. That of an affine one is ``f(0)``. With
    `implicit`, those of all others are returned too, and operations whose constant is not known. What is computed from
    `inputs`, and from none of a group, is a constant for that group too, a bypass.
    """
    return _Constants(groups, output, implicit, inputs).biases()


class _Constants:
    def __init__(
        self, groups: Sequence[list[tf.Tensor]], output: tf.Tensor, implicit: bool, inputs: Sequence[tf.Tensor]
    ) -> None:
        self._output, self._implicit, self._count = output, implicit, len(groups)
        self._data = _dependence(groups, output)
        self._inputs = flow(output.graph, {tensor.op: 1 for tensor in inputs})
        self._functions = Functions(output.graph)
        self._sources: dict[str, tf.Tensor] = {}

    def biases(self) -> list[Bias]:
        return [
            Bias(
                tensor=operation.outputs[0],
                constant=constant,
                origin=operation.type if constant is None else self._origin(operation, marks),
                groups=groups,
            )
            for operation in ancestors(self._output.op)
            for marks, groups in self._patterns(operation)
            for constant in self._constants(operation, marks)
        ]

    def _patterns(self, operation: tf.Operation) -> list[tuple[list[bool], int]]:
        """Return which inputs of an operation come from the data, and the bits of the groups for which these do."""
        bits = [self._data.get(tensor.op, 0) if is_differentiable(tensor) else 0 for tensor in operation.inputs]
        groups: dict[tuple[bool, ...], int] = {}
        for group in range(self._count):
            marks = tuple(bool(bit >> group & 1) for bit in bits)
            if any(marks):
                groups[marks] = groups.get(marks, 0) | 1 << group
        return [(list(marks), bits) for marks, bits in groups.items()]

    def _constants(self, operation: tf.Operation, marks: list[bool]) -> Iterator[tf.Tensor | None]:
        """Yield the constant of an operation on the marked data, if it has one; None if it is not known."""
        row, value = op_type(operation), operation.outputs[0]
        if row.family == "call":
            if self._implicit and any(_may_add(kind) for kind, _ in self._functions.operations(operation)):
                yield None
        elif not value.dtype.is_floating:
            return
        elif is_affine_in(operation, marks):
            if row.degree is None or (row.affine == "all" and not all(of_floats(operation, marks))):
                yield apply(operation, _without_data(operation, marks))[0]
        elif self._implicit:
            # Euler: df/dx x = d f where f has the degree d in all of its inputs.
            if row.degree is None or not all(of_floats(operation, marks)):
                yield _off_tangent(operation, marks)
            elif row.degree != 1:
                yield (1 - row.degree) * value

    def _origin(self, operation: tf.Operation, marks: list[bool]) -> str:
        pairs = list(zip(operation.inputs, marks, strict=True))
        if any(self._inputs.get(one.op) for one, mark in pairs if not mark and one.dtype.is_floating):
            return BYPASS
        if is_affine_in(operation, marks):
            return BIAS
        sources = {source.name: source for source in (self._source(one) for one, mark in pairs if mark)}
        is_of_one = len(sources) == 1 and not any(map(self._mixes, sources.values()))
        return BIAS if op_type(operation).reach == "number" and is_of_one else operation.type

    def _mixes(self, tensor: tf.Tensor) -> bool:
        """Whether a tensor reduces the data, as the mean and the variance of a normalisation do."""
        family = op_type(tensor.op).family
        count = sum(bool(self._data.get(one.op)) for one in tensor.op.inputs)
        return family == "reduction" or (family == "matrix product" and count > 1)

    def _source(self, tensor: tf.Tensor) -> tf.Tensor:
        """Return the tensor that this one is a function of, each number of one number."""
        if tensor.name not in self._sources:
            row = op_type(tensor.op)
            data = [one for one in tensor.op.inputs if self._data.get(one.op) and is_differentiable(one)]
            is_function = bool(data) and (row.reach == "number" or row.rearranges)
            sources = {one.name: one for one in map(self._source, data)} if is_function else {}
            self._sources[tensor.name] = next(iter(sources.values())) if len(sources) == 1 else tensor
        return self._sources[tensor.name]


def _dependence(groups: Sequence[list[tf.Tensor]], output: tf.Tensor) -> dict[tf.Operation, int]:
    """Return for each operation the bits of the groups that it is computed from."""
    seeds: dict[tf.Operation, int] = {}
    for group, tensors in enumerate(groups):
        for tensor in tensors:
            seeds[tensor.op] = seeds.get(tensor.op, 0) | 1 << group
    # Classes and choices made of numbers do not move with them: the one-hot of a predicted class is a constant. Words
    # are integers themselves.
    words = flow(output.graph, seeds, lambda tensor: not is_differentiable(tensor))
    return flow(output.graph, seeds, lambda tensor: is_differentiable(tensor) or bool(words[tensor.op]))


def _without_data(operation: tf.Operation, marks: list[bool]) -> list[tf.Tensor]:
    """Return the inputs of an operation with zeros for the marked ones, of one image where the others are vectors."""
    pairs = list(zip(operation.inputs, marks, strict=True))
    is_same = {one.shape.rank for one, mark in pairs if not mark} <= {0, 1} and operation.outputs[0].shape.rank != 1
    return [tf.zeros_like(one[:1] if is_same else one) if mark else one for one, mark in pairs]


def _may_add(kind: str) -> bool:
    """Whether an operation of this type in a function may add a constant to the data; that of a call is listed too."""
    row = op_type(kind)
    # Keras compiles some convolutions on their own, with nothing beside them.
    is_linear = row.family in ("convolution", "pooling", "call", "shape", "constant")
    return not (is_linear or (row.affine == "first" and row.degree == 1))


def _off_tangent(operation: tf.Operation, marks: list[bool]) -> tf.Tensor | None:
    """Return ``f(x) - df/dx x`` of a function of one tensor whose derivative is symmetric; None of any other.

    That of a function of each number alone is diagonal, that of a softmax ``diag(p) - p p^T``.
    """
    value, data = operation.outputs[0], [one for one, mark in zip(operation.inputs, marks, strict=True) if mark]
    if operation.type == "IdentityN":
        # A function with a gradient of its own, such as TensorFlow's SiLU: its value, and then what it is of.
        data = [tensor for tensor in operation.inputs[1:] if tensor.shape.rank == value.shape.rank]
    if len(data) != 1 or not (op_type(operation).reach == "number" or operation.type == "Softmax"):
        return None
    [product] = gradients_of(value, data, data)
    return None if product is None else value - product
