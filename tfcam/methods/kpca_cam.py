"""KPCA-CAM."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfcam.methods.base import DecompositionMethod
from tfcam.ops.pca import cells_of, first_eigenvector, on_grid_of, pointing

#: 64 x 64; the eigenvectors of more cells take minutes.
_MOST_CELLS = 4096


class KPCACAM(DecompositionMethod):
    r"""What does the layer see most of, if patterns of channels need not add up?

    .. math:: K_{ab} = k(x_a, x_b), \qquad \tilde K = K - 1K - K1 + 1K1, \qquad L = \sqrt{\lambda_1} u_1

    the first component of a kernel PCA: :math:`x_a` is what cell :math:`a` has in each channel less the channel's mean,
    :math:`\lambda_1` and :math:`u_1` are the first eigenvalue and eigenvector of :math:`\tilde K`. The sign is that of
    `EigenCAM`. Without a kernel, ``"linear"``, it is Eigen-CAM of the centred cells.
    Cost: one forward pass, and the eigenvectors of a matrix of all pairs of cells.

    Parameters
    ----------
    kernel : str
        ``"sigmoid"``: tanh(gamma x y + 1); ``"rbf"``: exp(-gamma (x - y)^2); or ``"linear"``.
    gamma : float or None
        None: 1 over the number of channels.

    Warnings
    --------
    Class-agnostic, as `EigenCAM` is. Only for coarse grids: the eigenproblem grows with the third power of the number
    of cells; above 64 x 64 it is refused.

    References
    ----------
    Karmani et al., KPCA-CAM: Visual Explainability of Deep Computer Vision Models using Kernel PCA,
    2024, arXiv:2410.00267.
    """

    name = "kpca-cam"
    question = "what does the layer see most of, if patterns of channels need not add up?"
    cost = "one forward pass, an eigenproblem of all pairs of cells"
    paper = "Karmani et al., 2024"
    kernel, gamma = "sigmoid", None

    def __init__(self, *arguments: Any, kernel: str = "sigmoid", gamma: float | None = None, **named: Any) -> None:
        if kernel not in ("sigmoid", "rbf", "linear"):
            raise ValueError(f"kernel={kernel!r} is unknown; choose 'sigmoid', 'rbf' or 'linear'.")
        self.kernel, self.gamma = kernel, gamma
        super().__init__(*arguments, **named)

    def combine(self, activations: tf.Tensor) -> tf.Tensor:
        """Return the projections of the cells on the first component of the kernel's feature space."""
        cells = cells_of(activations)
        if cells.shape[1] is not None and cells.shape[1] > _MOST_CELLS:
            raise ValueError(
                f"KPCA-CAM compares every cell with every other, and the layer has {cells.shape[1]}; name a layer with "
                f"at most {_MOST_CELLS} as conv_layer=, or take EigenCAM."
            )
        kernel = self._kernel(tf.cast(cells - tf.reduce_mean(cells, axis=1, keepdims=True), tf.float64))
        rows, columns = (tf.reduce_mean(kernel, axis=axis, keepdims=True) for axis in (1, 2))
        value, vector = first_eigenvector(kernel - rows - columns + tf.reduce_mean(rows, axis=2, keepdims=True))
        projected = tf.cast(tf.sqrt(tf.nn.relu(value)) * vector, tf.float32)
        return on_grid_of(activations, pointing(projected, tf.reduce_sum(cells, axis=-1)))

    def _kernel(self, x: tf.Tensor) -> tf.Tensor:
        products = tf.linalg.matmul(x, x, transpose_b=True)
        gamma = 1.0 / x.shape[-1] if self.gamma is None else self.gamma
        if self.kernel == "linear":
            return products
        if self.kernel == "sigmoid":
            return tf.tanh(gamma * products + 1.0)
        squares = tf.linalg.diag_part(products)
        return tf.exp(-gamma * tf.nn.relu(squares[:, :, None] + squares[:, None, :] - 2.0 * products))
