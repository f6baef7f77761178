"""What an attention compares: the product of its queries and keys, without scale, bias and mask."""

from __future__ import annotations

from dataclasses import replace
from string import ascii_lowercase

import tensorflow as tf

from tfcam.graph.attentions import Softmax, since_product
from tfcam.graph.axis_labels import Labels
from tfcam.graph.axis_marks import marked, marks, with_labels
from tfcam.graph.axis_origins import AxisOrigins
from tfcam.graph.axis_rules import labels_of
from tfcam.graph.op_types import apply, op_type


def compared(softmax: Softmax, origins: AxisOrigins) -> tuple[tf.Tensor, tf.Tensor] | None:
    """Return the products of queries and keys, and the squared lengths of the keys.

    ``(N, windows, heads, queries, keys)`` both; None where the attention is of no such product.
    """
    chain = since_product(softmax.logits, origins)
    equation = _equation(chain[0]) if chain else None
    place = None if equation is None else _place_of_keys(chain, origins)
    if equation is None or place is None:
        return None
    [*operands, output] = equation
    number = next(number for number, letters in enumerate(operands) if output[place] in letters)
    keys, products = chain[0].inputs[number], tf.cast(chain[0].outputs[0], tf.float32)
    kept = "".join(letter for letter in output if letter in operands[number])
    lengths = tf.einsum(f"{operands[number]}->{kept}", tf.square(tf.cast(keys, tf.float32)))
    for axis, letter in enumerate(output):
        if letter not in kept:
            lengths = tf.expand_dims(lengths, axis)
    each = [products, tf.broadcast_to(lengths, tf.shape(products))]
    return tuple(softmax.arranged(_moved(one, chain)) for one in each)  # type: ignore[return-value]


def _equation(product: tf.Operation) -> list[str] | None:
    """Return the letters of the axes of both operands of a product and of its output; None of other operations."""
    if product.type == "Einsum":
        inputs, output = product.get_attr("equation").decode().split("->")
        return [*inputs.split(","), output] if "." not in inputs else None
    if product.type not in ("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"):
        return None
    letters = ascii_lowercase[: product.outputs[0].shape.rank - 2]
    # A batch of fewer axes is that of the last ones.
    batches = [letters[len(letters) + 2 - tensor.shape.rank :] for tensor in product.inputs]
    row, column = ("ZX" if product.get_attr("adj_x") else "XZ"), ("YZ" if product.get_attr("adj_y") else "ZY")
    return [batches[0] + row, batches[1] + column, letters + "XY"]


def _place_of_keys(chain: list[tf.Operation], origins: AxisOrigins) -> int | None:
    """Return which axis of a product becomes the last axis of what is computed of it; None where none is known to."""
    before = chain[0].outputs[0]
    axes = tuple(marked(axis, position) for position, axis in enumerate(origins[before].axes))
    labels = Labels(axes, {}, origins[before].element)
    for operation in chain[1:]:
        step, number = origins.step(operation), _number_of(before, operation)
        labels = labels_of(replace(step, inputs=with_labels(step.inputs, number, labels)))[0]
        before = operation.outputs[0]
    # An axis of windows may be in the batch, and part of where the keys stand: theirs is the last.
    return max(marks((labels.axes[-1],)), default=None)


def _moved(tensor: tf.Tensor, chain: list[tf.Operation]) -> tf.Tensor:
    """Return numbers in the order of a product as those behind operations, of which some move them."""
    before = chain[0].outputs[0]
    for operation in chain[1:]:
        number = _number_of(before, operation)
        if op_type(operation).rearranges and operation.type != "Cast":
            inputs = [tensor if place == number else one for place, one in enumerate(operation.inputs)]
            tensor = apply(operation, inputs)[0]
        before = operation.outputs[0]
    return tensor


def _number_of(tensor: tf.Tensor, operation: tf.Operation) -> int:
    return next(number for number, one in enumerate(operation.inputs) if one is tensor)
