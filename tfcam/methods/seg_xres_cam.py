"""Seg-XRes-CAM."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfcam.methods.base import ChannelSum, spatial_axes

_POOLING = {"mean": "AVG", "max": "MAX"}


class SegXResCAM(ChannelSum):
    r"""Which neighbourhoods of cells did the score come from?

    .. math:: L = \mathrm{ReLU}\Big(\sum_k U\Big(P_w\Big(\frac{\partial S}{\partial A_k}\Big)\Big) \odot A_k\Big)

    :math:`P_w` pools the gradient in windows of w cells, and U gives each cell its window's value. With windows of one
    cell it is HiResCAM, which is ragged; with one window over the whole layer Grad-CAM, which forgets where the score
    came from, such as the region of a segmentation.
    Cost: one forward pass, one backward pass through the head.

    Parameters
    ----------
    window : int
        w, the side of a window in cells of the layer, at least 1. Where windows do not fill the grid, those at its
        edges are smaller.
    pooling : str
        ``"mean"`` or ``"max"`` of the gradients of a window.

    Warnings
    --------
    The edges of the windows can be seen in the map. How large they should be depends on the layer's grid: look at
    several.

    Notes
    -----
    The authors' code pads windows at the edge with zeros, which lowers their mean; here they have the mean of what they
    hold.

    References
    ----------
    Hasany, Petitjean and Mériaudeau, Seg-XRes-CAM: Explaining Spatially Local Regions in Image Segmentation, CVPR
    workshops 2023.
    """

    name = "seg-xres-cam"
    question = "which neighbourhoods of cells did the score come from?"
    paper = "Hasany et al., CVPR workshops 2023"
    window, pooling = 2, "mean"

    def __init__(self, *arguments: Any, window: int = 2, pooling: str = "mean", **named: Any) -> None:
        if window < 1 or window % 1:
            raise ValueError(f"window={window} has no cell, or parts of one: give whole cells on a side, at least 1.")
        if pooling not in _POOLING:
            raise ValueError(f"pooling={pooling!r} is neither 'mean' nor 'max'.")
        self.window, self.pooling = int(window), pooling
        super().__init__(*arguments, **named)

    def contributions(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        """Return the pooled gradient times the activation."""
        grid = spatial_axes(gradients)
        windows = [self.window] * len(grid)
        pooled = tf.nn.pool(gradients, windows, _POOLING[self.pooling], windows, "SAME")
        for axis in grid:
            size = tf.shape(gradients)[axis]
            # Windows lie in the middle: what the first and the last of them lack is shared between both.
            before = (tf.shape(pooled)[axis] * self.window - size) // 2
            pooled = tf.gather(pooled, (tf.range(size) + before) // self.window, axis=axis)
        return pooled * activations
