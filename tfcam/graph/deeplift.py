"""DeepLIFT's rescale rule: multipliers from a reference to an input."""

from __future__ import annotations

import tensorflow as tf

from tfcam.graph.bias_terms import CURVED
from tfcam.graph.traversal import ancestors, flow, gradients_of
from tfcam.ops.batch_axis import repeated_rows

#: Functions of each number alone: the ratio of what comes out to what goes in stands for the derivative.
_ELEMENTWISE = CURVED | {"Relu", "LeakyRelu", "Abs", "Inv"}
#: Differences that are no more than this share of what they are of are rounding.
_ROUNDING = 1e-6


def multipliers(scores: tf.Tensor, given: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Return how much the first score of each pair moves with each number of a tensor, ``(2 * count, ...)``.

    The rows of the batch are `count` pairs. The products of the multipliers with the differences of a pair of rows sum
    up to the difference of its scores, as far as all that is computed between is linear, a function of each number
    alone, a product, a quotient, a maximum or a softmax; elsewhere the derivative stands for it.
    """
    pairs = _Pairs(count)
    moves: dict[tf.Operation, dict[int, tf.Tensor]] = {scores.op: {0: tf.tile([1.0, 0.0], [count])}}
    behind = flow(scores.graph, {given.op: 1})
    wanted = {operation for operation in ancestors(scores.op) if behind.get(operation)}
    for operation in reversed([one for one in scores.graph.get_operations() if one in wanted]):
        if operation is given.op or operation not in moves:
            continue
        # By their names: a tensor that is given twice has one gradient.
        inputs = {tensor.name: tensor for tensor in operation.inputs}
        moving = {name: one for name, one in inputs.items() if one.op in wanted and _moves(one)}
        stands_for = pairs.linear(operation, [inputs[one.name] for one in operation.inputs], set(moving))
        at = [(stands_for[index], move) for index, move in moves.pop(operation).items() if index < len(stands_for)]
        tensors = list(moving.values())
        found = gradients_of([one for one, _ in at], tensors, [move for _, move in at], stop_gradients=tensors)
        for tensor, move in zip(tensors, found, strict=True):
            if move is not None:
                into = moves.setdefault(tensor.op, {})
                index = tensor.value_index
                into[index] = tf.add_n([into[index], move]) if index in into else move
    return moves[given.op][0]


class _Pairs:
    """Pairs of rows in every tensor, however a model folds others into the batch axis."""

    def __init__(self, count: tf.Tensor) -> None:
        self._count = count

    def linear(self, operation: tf.Operation, inputs: list[tf.Tensor], moving: set[str]) -> list[tf.Tensor]:
        """Return what an operation gives, as a linear function of its inputs of these names with its differences."""
        kind, output = operation.type, operation.outputs[0]
        given = [tensor for tensor in inputs if tensor.name in moving]
        if kind == "IdentityN":  # of a function with a gradient of its own
            return [tf.identity(tensor) for tensor in inputs]
        if kind in _ELEMENTWISE and len(given) == 1:
            return [given[0] * self._ratio(output, given[0])]
        if kind == "SquaredDifference":
            return [(inputs[0] - inputs[1]) * 2.0 * self._mean(inputs[0] - inputs[1])]
        if kind == "RealDiv" and inputs[1].name in moving:
            one, other = inputs
            if len(given) == 1:
                return [one * self._of_inverse(other) * other]
            return [one * self._mean(1.0 / other) + self._mean(one) * self._of_inverse(other) * other]
        if kind in ("Mul", "MatMul", "BatchMatMulV2", "Einsum") and len(given) == len(inputs) == 2:
            one, other = inputs
            return [_again(operation, one, self._mean(other)) + _again(operation, self._mean(one), other)]
        if kind == "Softmax":
            return [self._softmax(inputs[0])]
        if kind in ("Max", "Min", "MaxPool"):
            return [output * self._of_extreme(operation, inputs[0], output)]
        return list(operation.outputs)

    def _softmax(self, logits: tf.Tensor) -> tf.Tensor:
        highest = tf.reduce_max(tf.maximum(*self._split(logits)), axis=-1, keepdims=True)
        odds = tf.exp(logits - self._both(highest))
        total = tf.reduce_sum(odds, axis=-1, keepdims=True)
        linear = logits * self._ratio(odds, logits)
        moved = self._of_inverse(total) * tf.reduce_sum(linear, axis=-1, keepdims=True)
        return linear * self._mean(1.0 / total) + self._mean(odds) * moved

    def _of_inverse(self, tensor: tf.Tensor) -> tf.Tensor:
        """Return by how much the inverse of a tensor differs, for each difference of the tensor."""
        first, second = self._split(1.0 / tensor)
        return self._both(-first * second)

    def _of_extreme(self, operation: tf.Operation, given: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
        """Return by how much more an extreme differs than that of the other row, at the place of the first row's."""
        (first, second), (top, other) = self._split(given), self._split(output)
        if operation.type == "MaxPool":
            form = {name: operation.get_attr(name) for name in ("ksize", "strides", "padding", "data_format")}
            form = {name: one.decode() if isinstance(one, bytes) else one for name, one in form.items()}
            there = tf.raw_ops.MaxPoolGradGrad(orig_input=first, orig_output=top, grad=second, **form)
        else:
            axes, keepdims = operation.inputs[1], operation.get_attr("keep_dims")
            extreme = tf.reduce_max if operation.type == "Max" else tf.reduce_min
            chosen = tf.cast(first == extreme(first, axes, keepdims=True), first.dtype)
            there = tf.reduce_sum(chosen * second, axes, keepdims) / tf.reduce_sum(chosen, axes, keepdims)
        return self._both(tf.math.divide_no_nan(top - other, top - there))

    def _ratio(self, output: tf.Tensor, given: tf.Tensor) -> tf.Tensor:
        (first, second), (x, y) = self._split(output), self._split(given)
        slope, _ = self._split(gradients_of(output, [given])[0])
        moved = tf.abs(x - y) > _ROUNDING * (tf.abs(x) + tf.abs(y))
        return self._both(tf.where(moved, tf.math.divide_no_nan(first - second, x - y), slope))

    def _mean(self, tensor: tf.Tensor) -> tf.Tensor:
        first, second = self._split(tensor)
        return self._both(0.5 * (first + second))

    def _split(self, tensor: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the first and the second rows of the pairs."""
        paired = tf.reshape(tf.stop_gradient(tensor), [self._count, 2, -1])
        shape = tf.concat([[-1], tf.shape(tensor)[1:]], axis=0)
        return tf.reshape(paired[:, 0], shape), tf.reshape(paired[:, 1], shape)

    def _both(self, rows: tf.Tensor) -> tf.Tensor:
        """Return the same for both rows of the pairs."""
        return tf.stop_gradient(repeated_rows(rows, self._count, 2))


def _again(operation: tf.Operation, one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    """Return the product that an operation takes, of other tensors."""
    if operation.type == "Mul":
        return one * other
    if operation.type == "Einsum":
        return tf.einsum(operation.get_attr("equation").decode(), one, other)
    turned = ("transpose_a", "transpose_b") if operation.type == "MatMul" else ("adj_x", "adj_y")
    first, second = (operation.get_attr(name) for name in turned)
    return tf.matmul(one, other, transpose_a=first, transpose_b=second)


def _moves(tensor: tf.Tensor) -> bool:
    """Whether a tensor can have a gradient: of floats, or a list of tensors, as loops keep them."""
    return tensor.dtype.is_floating or tensor.dtype == tf.variant
