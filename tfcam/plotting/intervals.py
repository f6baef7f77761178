"""Figures of intervals, in matplotlib."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfcam.plotting.figures import Picture

#: Inches across a panel, and down a row; panels beside one another.
_WIDTH, _HEIGHT, _ACROSS = 2.4, 0.24, 4
_COLOR = "#5e35b1"


def intervals_figure(names: list[str], panels: dict[str, list[Any]]) -> Picture:
    """Return a figure with a panel for each title, and in it, for each name, a mean with its interval."""
    across = min(len(panels), _ACROSS)
    down = -(-len(panels) // across)
    size = (2.6 + _WIDTH * across, down * (0.7 + _HEIGHT * len(names)))
    figure = Picture(figsize=size, layout="constrained")
    places = np.arange(len(names))
    all_axes = figure.subplots(down, across, sharey=True, squeeze=False)
    for axes, (title, estimates) in zip(all_axes.flat, panels.items(), strict=False):
        means, lows, highs = (np.array([getattr(one, part) for one in estimates]) for part in ("mean", "low", "high"))
        axes.errorbar(means, places, xerr=[means - lows, highs - means], fmt="o", ms=4, lw=1.2, color=_COLOR)
        axes.set_title(title, fontsize=9)
        axes.tick_params(labelsize=8)
        axes.grid(axis="x", alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in all_axes.flat[len(panels) :]:
        axes.set_visible(False)
    for first in all_axes[:, 0]:
        first.set_yticks(places, names)
    all_axes[0, 0].invert_yaxis()
    return figure
