"""Fusion of the maps of several layers into one map."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any, NamedTuple

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


class Fusion(NamedTuple):
    """A way to make one map of several.

    Attributes
    ----------
    fused : callable
        From maps ``(N, *grid)`` of one grid to one.
    scales : bool
        Whether each map is scaled to its maximum before.
    """

    fused: Callable[[list[tf.Tensor]], tf.Tensor]
    scales: bool = True


#: What ``fuse=`` knows.
FUSIONS = {"mean": Fusion(mean), "max": Fusion(maximum), "product": Fusion(product), "sum": Fusion(tf.add_n, False)}


def find_fusion(wanted: Any) -> Fusion:
    """Return what ``fuse=`` means."""
    if wanted not in FUSIONS:
        raise ValueError(f"fuse={wanted!r} is unknown; choose from {', '.join(map(repr, FUSIONS))}.")
    return FUSIONS[wanted]
