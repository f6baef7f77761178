"""Bias terms: the constants that a model adds to its data, and their share of a score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf

from tfcam.graph.traversal import CALLS, REARRANGEMENTS, SUMS, Functions, ancestors, derive_layouts, flow, gradients_of
from tfcam.ops.layout import CHANNELS_LAST, Layout

#: Operations on each number alone that are not linear: ``f(z)`` is ``f'(z) z`` and a constant.
CURVED = {
    *("Relu6", "Sigmoid", "Tanh", "Elu", "Selu", "Softplus", "Softsign", "Erf", "Erfc", "Exp", "Expm1", "Log", "Log1p"),
    *("Square", "Sqrt", "Rsqrt", "Reciprocal", "Pow", "Maximum", "Minimum"),
}
#: What is done to each number alone, of one tensor.
_ELEMENTWISE = CURVED | {"Relu", "LeakyRelu", "Abs", "Neg", "Add", "AddV2", "Sub", "Mul", "RealDiv", "BiasAdd"}
#: What takes its numbers from the second or the third input.
_CHOICES = {"Select", "SelectV2"}
#: Products of what comes from the data with what comes from the data.
_QUADRATIC = {"Mul", "SquaredDifference", "MatMul", "BatchMatMulV2", "Einsum"}
#: Of these, and of means, normalisations are made.
_OF_NORMALISATION = {"Square", "Sqrt", "Rsqrt", "Reciprocal", "Pow", "SquaredDifference"}
_REDUCTIONS = {"Mean", "Sum", "Max", "Min", "Prod", "MatMul", "BatchMatMulV2", "Einsum"}
#: What has a constant, or may call what has.
_HIDING = _ELEMENTWISE | _QUADRATIC | {"Softmax", "FusedBatchNormV3", "While", "StatelessWhile", "If", "StatelessIf"}

#: What a constant may be: one of the model's, or of its activation functions; or what comes around a layer.
BIAS, BYPASS = "bias", "bypass"


@dataclass(frozen=True)
class Bias:
    """A constant that is part of a tensor.

    Attributes
    ----------
    tensor : tf.Tensor
        ``(N, ...)``: what the constant is part of.
    constant : tf.Tensor
        The constant, broadcastable to it.
    layout : Layout
        How the tensor is a grid.
    origin : str
        `BIAS`, `BYPASS`, or the operation that is neither linear nor a function of each number alone.
    behind : int
        Bit g is set where the constant is one for the data of group g.
    """

    tensor: tf.Tensor
    constant: tf.Tensor
    layout: Layout
    origin: str
    behind: int


def biases(
    groups: Sequence[list[tf.Tensor]], output: tf.Tensor, implicit: bool, inputs: Sequence[tf.Tensor] = ()
) -> list[Bias]:
    """Return the constants that an output was computed with from tensors of its graph, for each group of them.

    With `implicit`, those of functions that are not linear too: ``f(z) - f'(z) z``. What is computed from `inputs`, and
    from none of a group, is a constant for that group too, a bypass.
    """
    return _Constants(groups, output, implicit, inputs).found()


def unseen(groups: Sequence[list[tf.Tensor]], output: tf.Tensor) -> dict[str, int]:
    """Return the types of the operations behind groups of tensors that call functions which may hide constants.

    Bit g is set where such an operation is behind group g.
    """
    behind, functions = _behind(groups, output), Functions(output.graph)
    found: dict[str, int] = {}
    for operation in ancestors(output.op):
        # Keras compiles some convolutions on their own, with nothing beside them.
        if operation.type in CALLS and any(kind in _HIDING for kind, _ in functions.operations(operation)):
            found[operation.type] = found.get(operation.type, 0) | behind[operation]
    return found


def _behind(groups: Sequence[list[tf.Tensor]], output: tf.Tensor) -> dict[tf.Operation, int]:
    """Return for each operation the bits of the groups that it is computed from."""
    seeds: dict[tf.Operation, int] = {}
    for group, tensors in enumerate(groups):
        for tensor in tensors:
            seeds[tensor.op] = seeds.get(tensor.op, 0) | 1 << group

    def moves(tensor: tf.Tensor) -> bool:
        return tensor.dtype.is_floating or tensor.dtype == tf.variant

    # Classes and choices made of numbers do not move with them: the one-hot of a predicted class is a constant. Words
    # are integers themselves.
    words = flow(output.graph, seeds, lambda tensor: not moves(tensor))
    return flow(output.graph, seeds, lambda tensor: moves(tensor) or bool(words[tensor.op]))


class _Constants:
    def __init__(
        self, groups: Sequence[list[tf.Tensor]], output: tf.Tensor, implicit: bool, inputs: Sequence[tf.Tensor]
    ) -> None:
        self._output, self._implicit_too, self._all = output, implicit, (1 << len(groups)) - 1
        self._data = _behind(groups, output)
        self._inputs = flow(output.graph, {tensor.op: 1 for tensor in inputs})
        self._formats = derive_layouts(output.graph, Functions(output.graph), {})
        self._sources: dict[str, tf.Tensor] = {}

    def found(self) -> list[Bias]:
        found = []
        for operation in ancestors(self._output.op):
            bits = [self._data.get(tensor.op, 0) for tensor in operation.inputs]
            if not any(bits) or not operation.outputs[0].dtype.is_floating:
                continue
            for given, behind in _patterns(bits, self._all):
                constant = self._constant(operation, given)
                if constant is not None:
                    layout = self._formats.get(operation, CHANNELS_LAST)
                    origin = self._origin(operation, given)
                    found.append(Bias(operation.outputs[0], constant, layout, origin, behind))
        return found

    def _constant(self, operation: tf.Operation, given: tuple[bool, ...]) -> tf.Tensor | None:
        constant = _explicit(operation, given)
        return _implicit(operation, given) if constant is None and self._implicit_too else constant

    def _origin(self, operation: tf.Operation, given: tuple[bool, ...]) -> str:
        kind, tensors = operation.type, list(operation.inputs)
        if kind == "IdentityN":
            return BIAS
        if kind in _CHOICES:
            tensors, given = tensors[1:], given[1:]
        others = [tensor for tensor, is_given in zip(tensors, given, strict=True) if not is_given]
        if sum(given) == 1 or kind in SUMS:
            if any(self._inputs.get(tensor.op) for tensor in others):
                return BYPASS
            is_normalising = (
                kind in _OF_NORMALISATION and self._source(tensors[given.index(True)]).op.type in _REDUCTIONS
            )
            return kind if is_normalising or kind in ("Softmax", "RealDiv") else BIAS
        same = len({self._source(tensor).name for tensor in tensors}) == 1
        return BIAS if same and kind in ("Mul", "RealDiv") else kind

    def _source(self, tensor: tf.Tensor) -> tf.Tensor:
        """Return of which tensor this one is a function, each number of each number alone."""
        if tensor.name not in self._sources:
            self._sources[tensor.name] = self._found_source(tensor)
        return self._sources[tensor.name]

    def _found_source(self, tensor: tf.Tensor) -> tf.Tensor:
        operation = tensor.op
        given = [one for one in operation.inputs if self._data.get(one.op)]
        if operation.type == "IdentityN":
            return self._source(given[-1]) if given else tensor
        if operation.type not in _ELEMENTWISE | REARRANGEMENTS or not given:
            return tensor
        sources = {source.name: source for source in map(self._source, given)}
        return next(iter(sources.values())) if len(sources) == 1 else tensor


def _patterns(bits: list[int], groups: int) -> list[tuple[tuple[bool, ...], int]]:
    """Return which inputs of an operation come from the data, and for which groups it is these."""
    found: dict[tuple[bool, ...], int] = {}
    for group in range(groups.bit_length()):
        given = tuple(bool(bit >> group & 1) for bit in bits)
        if any(given):
            found[given] = found.get(given, 0) | 1 << group
    return list(found.items())


def _explicit(operation: tf.Operation, given: tuple[bool, ...]) -> tf.Tensor | None:
    """Return what an operation adds to its inputs from the data."""
    kind, inputs = operation.type, list(operation.inputs)
    if kind.startswith("FusedBatchNorm") and not operation.get_attr("is_training"):
        _, scale, offset, mean, variance = inputs
        constant = offset - scale * mean * tf.math.rsqrt(variance + operation.get_attr("epsilon"))
        return _along_channels(tf.cast(constant, operation.outputs[0].dtype), operation)
    if kind in ("AddN", "ConcatV2", "Pack") and not all(given[: operation.get_attr("N")]):
        parts = inputs[: operation.get_attr("N")]
        kept = [tf.zeros_like(part) if is_given else part for part, is_given in zip(parts, given, strict=False)]
        if kind == "AddN":
            return tf.add_n(kept)
        return tf.stack(kept, operation.get_attr("axis")) if kind == "Pack" else tf.concat(kept, inputs[-1])
    if kind in _CHOICES and sum(given[1:]) == 1:
        kept = [tf.zeros_like(part) if is_given else part for part, is_given in zip(inputs[1:], given[1:], strict=True)]
        return tf.where(inputs[0], *kept)
    if sum(given) != 1:
        return None
    if kind == "BiasAdd" and given[0]:
        return _along_channels(inputs[1], operation)
    if kind in ("Add", "AddV2"):
        return inputs[given.index(False)]
    if kind == "Sub":
        return -inputs[1] if given[0] else inputs[0]
    return None


def _implicit(operation: tf.Operation, given: tuple[bool, ...]) -> tf.Tensor | None:
    """Return the constant of an operation that is not linear in its inputs."""
    value = operation.outputs[0]
    if operation.type in _QUADRATIC and all(given):
        return -value
    if operation.type == "RealDiv" and given[1]:
        # In the denominator, the derivative takes away what that of the numerator gives, or once more without one.
        return value if given[0] else 2.0 * value
    if operation.type == "Softmax":
        logits = operation.inputs[0]
        return value * (1.0 - logits + tf.reduce_sum(value * logits, axis=-1, keepdims=True))
    entering = None
    if operation.type in CURVED and sum(given) == 1:
        entering = operation.inputs[given.index(True)]
    elif operation.type == "IdentityN":
        # A function with a gradient of its own, such as TensorFlow's SiLU: its value, and then what it was given.
        others = [tensor for tensor in operation.inputs[1:] if tensor.shape.rank == value.shape.rank]
        entering = others[0] if len(others) == 1 else None
    slope = None if entering is None else gradients_of(value, [entering])[0]
    return None if slope is None else value - entering * slope


def _along_channels(constant: tf.Tensor, operation: tf.Operation) -> tf.Tensor:
    if operation.get_attr("data_format").decode().startswith("NC"):
        return tf.reshape(constant, [-1, *[1] * (operation.outputs[0].shape.rank - 2)])
    return constant
