"""Nonnegative matrix factorization of a batch of matrices."""

from __future__ import annotations

import tensorflow as tf


def nonnegative_factors(x: tf.Tensor, count: int, iterations: int, seed: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Return factors H ``(N, cells, count)`` and W ``(N, count, K)``, none below 0, whose product is close to x.

    By the multiplicative updates of Lee and Seung (2000), from random factors that are the same for every image.

    Parameters
    ----------
    x : tf.Tensor
        ``(N, cells, K)`` float32, none below 0.
    count : int
        How many factors.
    iterations : int
        How often both are updated.
    seed : int
    """
    shape = tf.shape(x)
    size = tf.sqrt(tf.reduce_mean(x, axis=[1, 2], keepdims=True) / count)

    def drawn(rows: tf.Tensor | int, columns: tf.Tensor | int, number: int) -> tf.Tensor:
        return size * tf.random.stateless_uniform([rows, columns], [seed, number], 0.5, 1.5)

    def update(step: tf.Tensor, h: tf.Tensor, w: tf.Tensor) -> tuple[tf.Tensor, ...]:
        of_h = tf.linalg.matmul(h, tf.linalg.matmul(w, w, transpose_b=True))
        h = h * tf.math.divide_no_nan(tf.linalg.matmul(x, w, transpose_b=True), of_h)
        of_w = tf.linalg.matmul(tf.linalg.matmul(h, h, transpose_a=True), w)
        w = w * tf.math.divide_no_nan(tf.linalg.matmul(h, x, transpose_a=True), of_w)
        return step + 1, h, w

    start = (tf.constant(0), drawn(shape[1], count, 0), drawn(count, shape[2], 1))
    invariants = (tf.TensorShape([]), tf.TensorShape([None, None, count]), tf.TensorShape([None, count, None]))
    _, h, w = tf.while_loop(
        lambda step, _h, _w: step < iterations, update, start, shape_invariants=invariants, parallel_iterations=1
    )
    return h, w
