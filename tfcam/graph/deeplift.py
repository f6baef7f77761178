"""DeepLIFT's rescale rule: multipliers from a reference to an input."""

from __future__ import annotations

import tensorflow as tf

from tfcam.graph.op_types import apply, is_affine_in, is_differentiable, op_type
from tfcam.graph.traversal import ancestors, flow, gradients_of
from tfcam.ops.batch_axis import repeated_rows

#: Differences that are no more than this share of what they are of are rounding.
_ROUNDING = 1e-6


def multipliers(scores: tf.Tensor, tensor: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Return how much the first score of each pair moves with each number of a tensor, ``(2 * count, ...)``.

    The rows of the batch are `count` pairs. The products of the multipliers with the differences of a pair of rows sum
    up to the difference of its scores, as far as all that is computed between is linear, a function of each number
    alone, a product, a quotient, a maximum or a softmax; elsewhere the derivative stands for it.
    """
    pairs = _Pairs(count)
    # Of each operation, by the number of its output.
    cotangents: dict[tf.Operation, dict[int, tf.Tensor]] = {scores.op: {0: tf.tile([1.0, 0.0], [count])}}
    dependent = flow(scores.graph, {tensor.op: 1})
    path = {operation for operation in ancestors(scores.op) if dependent.get(operation)}
    for operation in reversed([one for one in scores.graph.get_operations() if one in path]):
        if operation is tensor.op or operation not in cotangents:
            continue
        # By their names: a tensor that enters twice has one gradient.
        inputs = {one.name: one for one in operation.inputs}
        data = {name: one for name, one in inputs.items() if one.op in path and is_differentiable(one)}
        surrogates = pairs.surrogates(operation, [inputs[one.name] for one in operation.inputs], set(data))
        outputs = {number: one for number, one in cotangents.pop(operation).items() if number < len(surrogates)}
        tensors = list(data.values())
        gradients = gradients_of(
            [surrogates[number] for number in outputs], tensors, list(outputs.values()), stop_gradients=tensors
        )
        for one, gradient in zip(tensors, gradients, strict=True):
            if gradient is not None:
                of_source = cotangents.setdefault(one.op, {})
                others = [of_source[one.value_index]] if one.value_index in of_source else []
                of_source[one.value_index] = tf.add_n([*others, gradient])
    return cotangents[tensor.op][0]


class _Pairs:
    """Pairs of rows in every tensor, however a model folds others into the batch axis."""

    def __init__(self, count: tf.Tensor) -> None:
        self._count = count

    def surrogates(self, operation: tf.Operation, inputs: list[tf.Tensor], data: set[str]) -> list[tf.Tensor]:
        """Return linear functions of the inputs of these names whose differences are those of an operation's outputs.

        Where there is no such rule, the outputs themselves, whose derivative stands for it.
        """
        kind, row, output = operation.type, op_type(operation), operation.outputs[0]
        marks = [tensor.name in data for tensor in inputs]
        if kind == "IdentityN":  # of a function with a gradient of its own
            return [tf.identity(tensor) for tensor in inputs]
        if kind == "SquaredDifference":
            return [(inputs[0] - inputs[1]) * 2.0 * self._mean(inputs[0] - inputs[1])]
        if kind == "RealDiv" and marks[1]:
            top, bottom = inputs
            mean = self._mean(top) if marks[0] else top
            return [top * self._mean(1.0 / bottom) + mean * self._slope_of_inverse(bottom) * bottom]
        if kind == "Softmax":
            return [self._softmax(inputs[0])]
        if row.family in ("reduction", "pooling") and row.degree == 1 and not row.affine:
            return [output * self._slope_of_extreme(operation, inputs[0], output)]
        if row.affine == "each" and row.family != "convolution" and marks == [True, True]:
            one, other = inputs
            halves = [one, self._mean(other)], [self._mean(one), other]
            return [tf.add_n([apply(operation, factors)[0] for factors in halves])]
        if row.reach == "number" and sum(marks) == 1 and not is_affine_in(operation, marks):
            tensor = inputs[marks.index(True)]
            return [tensor * self._slope(output, tensor)]
        return list(operation.outputs)

    def _softmax(self, logits: tf.Tensor) -> tf.Tensor:
        """Return the surrogate of a softmax: the quotient of exponentials and their sum."""
        highest = tf.reduce_max(tf.maximum(*self._split(logits)), axis=-1, keepdims=True)
        odds = tf.exp(logits - self._both(highest))
        total = tf.reduce_sum(odds, axis=-1, keepdims=True)
        linear = logits * self._slope(odds, logits)
        change = self._slope_of_inverse(total) * tf.reduce_sum(linear, axis=-1, keepdims=True)
        return linear * self._mean(1.0 / total) + self._mean(odds) * change

    def _slope(self, output: tf.Tensor, tensor: tf.Tensor) -> tf.Tensor:
        """Return the slope between the rows of a pair; where they are equal, the derivative, of a step 0."""
        [derivative] = gradients_of(output, [tensor], unconnected_gradients="zero")
        (first, second), (x, y) = self._split(output), self._split(tensor)
        differs = tf.abs(x - y) > _ROUNDING * (tf.abs(x) + tf.abs(y))
        slope = tf.math.divide_no_nan(first - second, x - y)
        return self._both(tf.where(differs, slope, self._split(derivative)[0]))

    def _slope_of_inverse(self, tensor: tf.Tensor) -> tf.Tensor:
        """Return the slope of ``1 / x``: ``(1 / x - 1 / y) / (x - y) = -1 / (x y)``."""
        first, second = self._split(1.0 / tensor)
        return self._both(-first * second)

    def _slope_of_extreme(self, operation: tf.Operation, tensor: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
        """Return by how much more an extreme differs than it would if the position of the first row's stayed.

        Of any function of degree 1, Euler: ``f(x) = df/dx x``, so that ``df/dx (x - y) = f(x) - df/dx y``.
        """
        (first, second), (top, other) = self._split(tensor), self._split(output)
        value, *_ = apply(operation, [first, *operation.inputs[1:]])
        dual = tf.ones_like(value)
        [gradient] = gradients_of(value, [first], dual)
        [there] = gradients_of(gradient, [dual], second)
        return self._both(tf.math.divide_no_nan(top - other, top - there))

    def _mean(self, tensor: tf.Tensor) -> tf.Tensor:
        first, second = self._split(tensor)
        return self._both(0.5 * (first + second))

    def _split(self, tensor: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the first and the second rows of the pairs."""
        pairs = tf.reshape(tf.stop_gradient(tensor), [self._count, 2, -1])
        shape = tf.concat([[-1], tf.shape(tensor)[1:]], axis=0)
        return tf.reshape(pairs[:, 0], shape), tf.reshape(pairs[:, 1], shape)

    def _both(self, rows: tf.Tensor) -> tf.Tensor:
        """Return the same for both rows of the pairs."""
        return tf.stop_gradient(repeated_rows(rows, self._count, 2))
