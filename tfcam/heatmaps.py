"""From the maps of the explained layers to heatmaps: fused, resized, normalised."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from tfcam.fuse import fused, scaled
from tfcam.resize import resized


@dataclass(frozen=True)
class Options:
    """What a call asks of its heatmaps.

    Attributes
    ----------
    resize, normalize : bool
        As in `Explainer.explain`.
    several : bool
        Whether the targets are ``(N, T, ...)``, or the `top` classes: T maps an image.
    top : int or None
        How many of the highest classes are explained; None: the targets given.
    """

    resize: bool = True
    normalize: bool = False
    several: bool = False
    top: int | None = None


def heatmaps(maps: list[tf.Tensor], source: tf.Tensor, options: Options, fuse: str) -> tf.Tensor:
    """Return heatmaps ``(N, *grid)`` of the maps of one or more layers.

    `source` is the input ``(N, *input_grid, C)`` that they are resized to; otherwise they get the first map's grid.
    """
    like = source[..., 0] if options.resize else maps[0]
    if len(maps) > 1:
        one = fused(maps, like, fuse)
    elif options.resize:
        one = resized(maps[0], like)
    else:
        one = maps[0]
    return scaled(one) if options.normalize else one
