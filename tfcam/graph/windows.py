"""Gradients of single cells: taken of the window that a cell sees, not of the whole grid around it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import tensorflow as tf

from tfcam.graph.op_types import op_type
from tfcam.graph.replay import replayed
from tfcam.graph.traversal import flow, gradients_of


class Head(NamedTuple):
    """Convolutions of one grid, and how far they see.

    Attributes
    ----------
    tensor : tf.Tensor
        The grid ``(N, rows, columns, channels)`` that they are computed from.
    ends : list of tf.Tensor
        Their last outputs, of the same grid.
    reach : tuple of int
        How many cells to each side an output cell sees at most, along rows and columns.
    """

    tensor: tf.Tensor
    ends: list[tf.Tensor]
    reach: tuple[int, int]


def heads_of(
    tensors: Sequence[tf.Tensor], outputs: Iterable[tf.Tensor], inputs: Iterable[tf.Tensor]
) -> list[Head] | None:
    """Return the head of each grid by which outputs are computed from it; None where they are more than convolutions.

    That is, where an operation in between mixes cells in another way, or reads something else of the inputs.
    """
    graph = tensors[0].graph
    from_inputs, heads = flow(graph, {one.op: 1 for one in inputs}), []
    last = _last_convolutions(outputs, from_inputs)
    for tensor in tensors:
        if tensor.shape.rank != 4:
            return None
        reaches = _reaches(tensor, tensors, from_inputs)
        ends = [operation for operation in last if operation in reaches]
        if not ends or any(reaches[end] is None for end in ends):
            return None
        rows, columns = (max(reaches[end][axis] for end in ends) for axis in (0, 1))  # type: ignore[index]
        heads.append(Head(tensor, [end.outputs[0] for end in ends], (rows, columns)))
    return heads if {end.op for head in heads for end in head.ends} == last else None


def _last_convolutions(outputs: Iterable[tf.Tensor], from_inputs: dict[tf.Operation, int]) -> set[tf.Operation]:
    """Return the last convolutions before outputs; behind them numbers are moved or computed one by one."""
    found, visits, left = set[tf.Operation](), set[tf.Operation](), [output.op for output in outputs]
    while left:
        operation = left.pop()
        if operation not in visits and from_inputs[operation]:
            visits.add(operation)
            if op_type(operation).family == "convolution":
                found.add(operation)
            else:
                left += [tensor.op for tensor in operation.inputs]
    return found


def _reaches(
    tensor: tf.Tensor, others: Sequence[tf.Tensor], from_inputs: dict[tf.Operation, int]
) -> dict[tf.Operation, tuple[int, int] | None]:
    """Return how far the operations behind a tensor see of it; None: not told.

    What lies behind another of the tensors is left out.
    """
    ends = {one.op for one in others}
    reaches: dict[tf.Operation, tuple[int, int] | None] = {tensor.op: (0, 0)}
    for operation in tensor.graph.get_operations():
        data = [one.op for one in operation.inputs if from_inputs[one.op]]
        if operation in ends or not any(one in reaches for one in data):
            continue
        known = [reaches.get(one) for one in data]
        own = _own_reach(operation, [one for one in operation.inputs if not from_inputs[one.op]])
        reaches[operation] = None
        if own is not None and all(one is not None for one in known):
            rows, columns = zip(*(one for one in known if one is not None), strict=True)
            reaches[operation] = max(rows) + own[0], max(columns) + own[1]
    return reaches


def _is_alike_everywhere(constant: tf.Tensor) -> bool:
    """Whether a tensor has one value for all cells, as a bias has and an embedding of places has not."""
    return constant.shape.rank is not None and constant.shape[:-1].num_elements() == 1


def _own_reach(operation: tf.Operation, constants: Sequence[tf.Tensor]) -> tuple[int, int] | None:
    """Return how many cells to each side an operation sees; None where it is no convolution of stride 1, or unknown.

    `constants` are those of its inputs that depend on no image.
    """
    if op_type(operation).reach == "number":
        return (0, 0) if all(map(_is_alike_everywhere, constants)) else None
    if operation.type not in ("Conv2D", "DepthwiseConv2dNative"):
        return None
    kernel = operation.inputs[1].shape[:2].as_list()
    # Of 1 x 1, padding makes no difference.
    keeps_size = operation.get_attr("padding") == b"SAME" or kernel == [1, 1]
    if not keeps_size or operation.get_attr("data_format") != b"NHWC" or set(operation.get_attr("strides")) != {1}:
        return None
    _, *dilations, _ = operation.get_attr("dilations")
    if None in kernel:
        return None
    rows, columns = (size // 2 * rate for size, rate in zip(kernel, dilations, strict=True))
    return rows, columns


def gradient_in_window(total: tf.Tensor, head: Head) -> tf.Tensor:
    """Return the gradient of a sum of scores, one for each image, for the grid of a head.

    What is computed once more, and backwards, is the window that the one cell of each score sees; nothing where no
    score is of this grid, and all of it where one is of several cells.
    """
    pairs = zip(head.ends, gradients_of(total, head.ends), strict=True)
    known = {end.name: gradient for end, gradient in pairs if gradient is not None}
    ends = [end for end in head.ends if end.name in known]
    if not ends:
        return tf.zeros_like(head.tensor)
    steepness = tf.add_n([tf.reduce_sum(tf.abs(known[end.name]), axis=-1) for end in ends])

    def inside() -> tf.Tensor:
        places = _window(steepness, head.reach)
        crop = tf.gather_nd(head.tensor, places)
        outputs = replayed(ends, head.tensor, crop)
        slopes = [tf.gather_nd(known[end.name], places) for end in ends]
        [gradient] = gradients_of(outputs, [crop], slopes)
        return tf.scatter_nd(places, gradient, tf.shape(head.tensor, out_type=places.dtype))

    return tf.cond(tf.reduce_any(steepness != 0.0), inside, lambda: tf.zeros_like(head.tensor))


def _window(steepness: tf.Tensor, reach: tuple[int, int]) -> tf.Tensor:
    """Return the indices ``(N, rows, columns, 3)`` of what the one cell of each image ``(N, *grid)`` sees.

    At a border the window ends there, as the grid does, and reaches farther to the other side.
    """
    shape = tf.shape(steepness)
    flat = tf.reshape(steepness, [shape[0], -1])
    cell = tf.argmax(flat, axis=-1, output_type=tf.int32)
    is_one = tf.reduce_all(tf.math.count_nonzero(flat, axis=-1) <= 1)
    middles = cell // shape[2], cell % shape[2]
    axes = []
    for middle, far, size in zip(middles, reach, (shape[1], shape[2]), strict=True):
        width = tf.where(is_one, tf.minimum(2 * far + 1, size), size)
        axes.append(tf.clip_by_value(middle - far, 0, size - width)[:, None] + tf.range(width))
    grid = [shape[0], tf.shape(axes[0])[1], tf.shape(axes[1])[1]]
    indices = tf.range(shape[0])[:, None, None], axes[0][:, :, None], axes[1][:, None, :]
    return tf.stack([tf.broadcast_to(one, grid) for one in indices], axis=-1)
