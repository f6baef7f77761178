"""Principal components of the cells of a layer, for a batch."""

from __future__ import annotations

import tensorflow as tf


def cells_of(features: tf.Tensor) -> tf.Tensor:
    """Return ``(N, *grid, K)`` as ``(N, cells, K)``."""
    cells, shape = features.shape[1:-1].num_elements(), tf.shape(features)
    channels = shape[-1] if features.shape[-1] is None else features.shape[-1]
    return tf.reshape(features, tf.stack([shape[0], -1 if cells is None else cells, channels]))


def on_grid_of(features: tf.Tensor, cells: tf.Tensor) -> tf.Tensor:
    """Return a number for each cell, ``(N, cells)``, on the grid of features ``(N, *grid, K)``."""
    return tf.ensure_shape(tf.reshape(cells, tf.shape(features)[:-1]), features.shape[:-1])


def first_component(features: tf.Tensor, *, centred: bool = False) -> tf.Tensor:
    """Return the projection of each cell on the first principal component of the cells of its image.

    A component is known but for its sign; the projection is the one that points the way the features' sum over the
    channels does.

    Parameters
    ----------
    features : tf.Tensor
        ``(N, *grid, K)`` float32.
    centred : bool
        Whether each channel's mean is subtracted first.

    Returns
    -------
    tf.Tensor
        ``(N, *grid)``: X v, where v is the first right singular vector of the cells' features X.
    """
    x = cells_of(features)
    towards = tf.reduce_sum(x, axis=-1)
    if centred:
        x -= tf.reduce_mean(x, axis=1, keepdims=True)
    return on_grid_of(features, pointing(_projected(x), towards))


def pointing(projection: tf.Tensor, towards: tf.Tensor) -> tf.Tensor:
    """Return projections ``(N, cells)`` with the sign that gives them a product of at least 0 with others."""
    return tf.where(tf.reduce_sum(projection * towards, axis=1, keepdims=True) < 0.0, -projection, projection)


def first_eigenvector(symmetric: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the largest eigenvalue ``(N, 1)`` of matrices ``(N, n, n)``, and its eigenvector ``(N, n)``.

    Where a matrix is not finite, neither are its eigenvalue and eigenvector; TensorFlow would give up the whole batch.
    """
    finite = tf.reduce_all(tf.math.is_finite(symmetric), axis=[1, 2])[:, None]
    values, vectors = tf.linalg.eigh(tf.where(finite[..., None], symmetric, tf.zeros_like(symmetric)))
    nan = tf.constant(float("nan"), symmetric.dtype)
    return tf.where(finite, values[:, -1:], nan), tf.where(finite, vectors[..., -1], nan)


def _projected(x: tf.Tensor) -> tf.Tensor:
    """Return X v of cells ``(N, cells, K)``, from the smaller one of the products of X with itself.

    In float64, as the products square what tells the first component from the second.
    """
    x = tf.cast(x, tf.float64)

    def of_cells() -> tf.Tensor:
        value, vector = first_eigenvector(tf.linalg.matmul(x, x, transpose_b=True))
        return tf.sqrt(tf.nn.relu(value)) * vector

    def of_channels() -> tf.Tensor:
        _, vector = first_eigenvector(tf.linalg.matmul(x, x, transpose_a=True))
        return tf.linalg.matvec(x, vector)

    if x.shape[1] is None:
        projected = tf.cond(tf.shape(x)[1] < x.shape[2], of_cells, of_channels)
    else:
        projected = of_cells() if x.shape[1] < x.shape[2] else of_channels()
    return tf.cast(projected, tf.float32)
