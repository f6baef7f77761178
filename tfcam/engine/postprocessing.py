"""From the maps of the explained layers to heatmaps: fused, resized, normalised."""

from __future__ import annotations

import tensorflow as tf

from tfcam.engine.explanation import MapOptions
from tfcam.engine.run import Run
from tfcam.ops.fusion import find_fusion
from tfcam.ops.normalize import unit_maximum


def postprocess(
    maps: list[tf.Tensor], run: Run, options: MapOptions, fuse: str, are_of_input: bool = False
) -> tf.Tensor:
    """Return heatmaps ``(N, *grid)`` of the maps of a run's first layers, at the input's grid or the first map's."""
    fusion = find_fusion(fuse)
    if len(maps) > 1 and fusion.scales:
        maps = [unit_maximum(one) for one in maps]
    if not are_of_input and (options.resize or len(maps) > 1):
        maps = [run.placement.resized(one, layer, None if options.resize else 0) for layer, one in enumerate(maps)]
    one = fusion.fused(maps) if len(maps) > 1 else maps[0]
    return unit_maximum(one) if options.normalize else one
