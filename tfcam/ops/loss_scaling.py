"""Loss scaling: gradients that pass through float16, which is zero below 6e-8 and infinite above 65,504."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

# From the largest power of two that float16 holds, in steps, down to 2 ** -17.
_FIRST_SCALE, _STEP, _STEPS = 2.0**15, 2.0**4, 9


def scaled_gradients(
    backward: Callable[[tf.Tensor], list[tf.Tensor]], like: list[tf.Tensor], count: tf.Tensor
) -> list[tf.Tensor]:
    """Return gradients, each image's taken of its score times the largest scale that does not overflow.

    Where the model folds something else into the batch axis, so that no gradient is an image's own, all have one scale.

    Parameters
    ----------
    backward : callable
        From scales ``(N,)`` or ``(1,)`` of the scores to the gradients of their sum, ``(N, ...)`` float32 each.
    like : list of tf.Tensor
        Tensors of the gradients' shapes.
    count : tf.Tensor
        N.
    """
    groups = tf.where(tf.reduce_all([tf.shape(tensor)[0] == count for tensor in like]), count, 1)

    def attempt(scales: tf.Tensor, _given: list[tf.Tensor], _fits: tf.Tensor) -> tuple[tf.Tensor, ...]:
        gradients = backward(scales)
        finite = [tf.reduce_all(tf.math.is_finite(tf.reshape(g, (groups, -1))), axis=1) for g in gradients]
        fits = tf.reduce_all(tf.stack(finite), axis=0)
        unscaled = [g / tf.reshape(scales, (-1, *[1] * (g.shape.rank - 1))) for g in gradients]
        return tf.where(fits, scales, scales / _STEP), unscaled, fits

    start = (tf.fill([groups], _FIRST_SCALE), [tf.zeros_like(tensor) for tensor in like], tf.fill([groups], False))
    shapes = (tf.TensorShape([None]), [tensor.shape for tensor in like], tf.TensorShape([None]))
    return tf.while_loop(
        lambda _scales, _gradients, fits: ~tf.reduce_all(fits),
        attempt,
        start,
        shape_invariants=shapes,
        parallel_iterations=1,
        maximum_iterations=_STEPS,
    )[1]
