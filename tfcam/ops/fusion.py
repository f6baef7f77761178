"""Fusion of the maps of several layers into one map."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import tensorflow as tf

#: What the maps of shallow layers are raised by before the maximum (Jiang et al., 2021, equation 9).
_GAMMA = 2.0


def mean(maps: list[tf.Tensor]) -> tf.Tensor:
    """Return the mean."""
    return tf.add_n(maps) / len(maps)


def maximum(maps: list[tf.Tensor]) -> tf.Tensor:
    """Return the largest at each place, all layers but the last raised to ``tanh(2 L)`` (Jiang et al., LayerCAM)."""
    return reduce(tf.maximum, [*(tf.tanh(_GAMMA * one) for one in maps[:-1]), maps[-1]])


def product(maps: list[tf.Tensor]) -> tf.Tensor:
    """Return the product: bright where every layer says so (Domeniconi et al., RefineCAM)."""
    return reduce(tf.multiply, maps)


#: What ``fuse=`` knows: functions of maps ``(N, *grid)`` of one grid, each between 0 and 1.
FUSIONS: dict[str, Callable[[list[tf.Tensor]], tf.Tensor]] = {"mean": mean, "max": maximum, "product": product}


def find_fusion(wanted: Any) -> Callable[[list[tf.Tensor]], tf.Tensor]:
    """Return what ``fuse=`` means."""
    if wanted not in FUSIONS:
        raise ValueError(f"fuse={wanted!r} is unknown; choose from {', '.join(map(repr, FUSIONS))}.")
    return FUSIONS[wanted]
