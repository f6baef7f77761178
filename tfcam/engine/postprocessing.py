"""From the maps of the explained layers to heatmaps: fused, resized, normalised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from tfcam.engine.run import Run
from tfcam.layers import Alignment
from tfcam.layers.alignment import find_alignment
from tfcam.ops.fusion import find_fusion
from tfcam.ops.normalize import unit_maximum


@dataclass(frozen=True)
class MapOptions:
    """What a call asks of its heatmaps.

    Attributes
    ----------
    resize, normalize : bool
        As in `Explainer.explain`; maps whose cells are aligned are resized too.
    several : bool
        Whether the targets are ``(N, T, ...)``, or the `top` classes: T maps an image.
    top : int or None
        How many of the highest classes are explained; None: the targets given.
    alignment : Alignment or None
        Where the cells of the layers lie; None: evenly.
    """

    resize: bool = True
    normalize: bool = False
    several: bool = False
    top: int | None = None
    alignment: Alignment | None = None

    @classmethod
    def read(cls, resize: Any, normalize: bool, align: Any, **options: Any) -> MapOptions:
        """Return what the arguments of a call ask for."""
        alignment = find_alignment(resize, align)
        return cls(bool(resize), normalize, alignment=alignment, **options)


def postprocess(
    maps: list[tf.Tensor], run: Run, options: MapOptions, fuse: str, are_of_input: bool = False
) -> tf.Tensor:
    """Return heatmaps ``(N, *grid)`` of the maps of a run's first layers, at the input's grid or the first map's."""
    if len(maps) > 1:
        maps = [unit_maximum(one) for one in maps]
    if not are_of_input and (options.resize or len(maps) > 1):
        maps = [run.placement.resized(one, layer, None if options.resize else 0) for layer, one in enumerate(maps)]
    one = find_fusion(fuse)(maps) if len(maps) > 1 else maps[0]
    return unit_maximum(one) if options.normalize else one
