"""The attentions of a graph: each softmax over the tokens of an input, whatever layer computed it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import tensorflow as tf

from tfcam.graph.axes import BATCH, Digit, Joined, Lost, as_part, has_cells, positions_of
from tfcam.graph.axis_origins import AxisOrigins
from tfcam.graph.op_types import op_type
from tfcam.graph.token_places import NoPlace, TokenPlaces
from tfcam.graph.traversal import ancestors, flow


@dataclass(frozen=True)
class Softmax:
    """A softmax over tokens, and how its axes are those of an attention.

    Attributes
    ----------
    output, logits : tf.Tensor
        As the graph has them, of one shape.
    sizes : tuple of int
        The sizes of the digits of its axes but the batch, in order.
    order : tuple of tuple of int
        Which of them, from 1, are windows, heads, queries and keys.
    queries, keys : TokenPlaces
        Which tokens these are.
    learned_queries : bool
        Whether weights of the model ask, rather than tokens.
    """

    output: tf.Tensor
    logits: tf.Tensor
    sizes: tuple[int, ...]
    order: tuple[tuple[int, ...], ...]
    queries: TokenPlaces
    keys: TokenPlaces
    learned_queries: bool

    @property
    def name(self) -> str:
        """The name of the operation."""
        return str(self.output.op.name)

    def arranged(self, tensor: tf.Tensor) -> tf.Tensor:
        """Return a tensor of its shape as ``(N, windows, heads, queries, keys)``."""
        tensor = tf.reshape(tensor, (-1, *self.sizes))
        tensor = tf.transpose(tensor, (0, *(axis for group in self.order for axis in group)))
        groups = [math.prod(self.sizes[axis - 1] for axis in group) for group in self.order]
        return tf.reshape(tensor, (-1, *groups))


def softmaxes(
    graph: tf.Graph, origins: AxisOrigins, ends: Iterable[tf.Tensor], given: tf.Tensor, index: int
) -> list[Softmax]:
    """Return the softmaxes over tokens of an input that the ends are computed from, in the order of computation.

    Parameters
    ----------
    graph : tf.Graph
    origins : AxisOrigins
    ends : iterable of tf.Tensor
    given : tf.Tensor
        The input.
    index : int
        Its number. Attentions over the tokens of another input, such as the words beside an image, are left out.

    Raises
    ------
    NoPlace
        Where it is not told where the tokens of one of them stand.
    """
    behind = flow(graph, {given.op: 1})
    operations = [one for one in softmax_operations(graph, origins, ends) if behind[one]]
    return [one for operation in operations if (one := _softmax(operation, origins)).keys.index == index]


def softmax_operations(graph: tf.Graph, origins: AxisOrigins, ends: Iterable[tf.Tensor]) -> Iterator[tf.Operation]:
    """Yield the operations of the softmaxes over tokens that the ends are computed from, in order."""
    before = {operation for end in ends for operation in ancestors(end.op)}
    for operation in graph.get_operations():
        if operation.type == "Softmax" and operation in before and _is_over_tokens(operation.outputs[0], origins):
            yield operation


def _is_over_tokens(tensor: tf.Tensor, origins: AxisOrigins) -> bool:
    if tensor not in origins or not origins[tensor].axes:
        return False
    keys = origins[tensor].axes[-1]
    return has_cells((keys,)) and not any(digit.origin == BATCH for digit in keys)


def _softmax(operation: tf.Operation, origins: AxisOrigins) -> Softmax:
    output = operation.outputs[0]
    axes = origins[output].axes
    [batch, *_], place = axes, operation.name
    if not batch or batch[0].origin != BATCH or not batch[0].is_whole:
        raise NoPlace(place)
    digits = [digit for axis in axes for digit in axis][1:]
    # Of images of any size, tables have any size too; of one size, the graph may not say what the axes tell.
    if origins.is_open and None in output.shape[1:].as_list():
        raise NoPlace(place)
    first_key = len(digits) - len(axes[-1])
    keys, others = range(first_key, len(digits)), range(first_key)
    windows = [number for number in others if _is_shared(digits[number], [digits[key] for key in keys])]
    queries = [number for number in others if number not in windows and not digits[number].is_free]
    heads = [number for number in others if digits[number].is_free]
    if not queries and len(axes) > 3:
        # Of queries without a place, the axis before the keys.
        count = len(axes[-2])
        queries, heads = [number for number in heads if number >= first_key - count], heads[: len(heads) - count]
    groups = [tuple(1 + number for number in group) for group in (windows, heads, queries, keys)]
    shared = [digits[number] for number in windows]
    try:
        asking, asked = (TokenPlaces.of(shared, [digits[number] for number in group]) for group in (queries, keys))
    except NoPlace as error:
        raise NoPlace(f"{error}, before {place}") from None
    sizes, by_weights = tuple(digit.size for digit in digits), _is_asked_by_weights(operation, origins)
    return Softmax(output, operation.inputs[0], sizes, tuple(groups), asking, asked, by_weights)


def _is_shared(digit: Digit, keys: Sequence[Digit]) -> bool:
    """Whether a digit says which window is attended to, rather than which token asks.

    That is, whether it is part of the place of the keys, which their own axis does not tell.
    """
    if digit.is_free or isinstance(digit.origin, (Joined, Lost)):
        return False
    axis = positions_of(digit.origin)
    placed = [(positions_of(key.origin), key) for key in keys if not isinstance(key.origin, Joined)]
    if axis is None or axis.index not in {other.index for other, _ in placed if other}:
        return False
    same = [as_part(key) for other, key in placed if other == axis]
    own = as_part(digit)
    # The keys have no place along this axis, or one within a part of it.
    return not any(key.is_whole or key.origin != own.origin or _overlap(key, own) for key in same)


def _overlap(one: Digit, other: Digit) -> bool:
    return one.stride < other.stride * other.size and other.stride < one.stride * one.size


def _is_asked_by_weights(operation: tf.Operation, origins: AxisOrigins) -> bool:
    """Whether what a softmax is of is a product with weights, as of the learned query of a pooling, or is none."""
    chain = since_product(operation.inputs[0], origins)
    return not chain or sum(tensor in origins for tensor in chain[0].inputs) < 2


def since_product(logits: tf.Tensor, origins: AxisOrigins) -> list[tf.Operation]:
    """Return the operations from the last product before a tensor to the tensor's own; empty where there is none."""
    chain = [logits.op]
    while op_type(chain[0]).family != "matrix product":
        data = [tensor.op for tensor in chain[0].inputs if tensor in origins]
        if not data:
            return []
        chain.insert(0, data[0])
    return chain


def is_skip_sum(operation: tf.Operation, origins: AxisOrigins) -> bool:
    """Whether an operation adds tokens to what is made of them: the end of a skip connection."""
    inputs = list(operation.inputs)
    if operation.type not in ("Add", "AddV2", "AddN") or len(inputs) != 2 or not all(one in origins for one in inputs):
        return False
    one, other = inputs
    if one.shape.rank is None or one.shape.as_list() != other.shape.as_list() or not has_cells(origins[one].axes):
        return False
    return one.op in ancestors(other.op) or other.op in ancestors(one.op)


def block_ends(found: Sequence[Softmax], origins: AxisOrigins, ends: Sequence[tf.Tensor]) -> list[tf.Tensor | None]:
    """Return, for each softmax, the tokens that its block puts out, before the next one; None where it has no block.

    That is, what its last skip connection gives.
    """
    result: list[tf.Tensor | None] = []
    for number, softmax in enumerate(found):
        after = flow(softmax.output.graph, {softmax.output.op: 1})
        following = [found[number + 1].output] if number + 1 < len(found) else ends
        before = {operation for end in following for operation in ancestors(end.op) if after[operation]}
        candidates = (one for one in reversed(softmax.output.graph.get_operations()) if one in before)
        skip = next((one for one in candidates if is_skip_sum(one, origins)), None)
        result.append(None if skip is None else skip.outputs[0])
    return result


def token_axes(tensor: tf.Tensor, origins: AxisOrigins) -> list[int]:
    """Return the axes of tokens of a tensor: those that have cells, but for the batch."""
    return [number for number, axis in enumerate(origins[tensor].axes) if number and has_cells((axis,))]
