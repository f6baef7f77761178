"""The picture of one explained image: photograph, maps with class and score, colour bar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from tfcam.plotting import blend
from tfcam.plotting.pixels import Scale

#: A photograph is drawn with at least and at most so many pixels along its longer side.
_SMALLEST, _LARGEST = 320, 640
#: Pixels around and between the parts, of the colour bar's width, and of the letters.
_MARGIN, _BAR, _LETTERS, _SMALL = 16, 14, 18, 13
#: So many panels stand side by side.
_ACROSS = 5
_INK, _FAINT, _PAPER = (20, 20, 20), (110, 110, 110), (255, 255, 255)


@dataclass(frozen=True)
class Look:
    """How a picture is drawn.

    Attributes
    ----------
    bare : bool
        Whether it is the first overlay alone.
    cmap : str
        A matplotlib colour map.
    alpha : float
        The opacity of the highest value.
    """

    bare: bool = False
    # On a grey photograph it is far from each colour of each of a hundred photographs: 41 in CIELAB, inferno on the
    # photograph's own colours 8.
    cmap: str = "turbo"
    alpha: float = 0.6


class Panel(NamedTuple):
    """A map ``(h, w)`` of the photograph's size, the two lines above it, and the region that is outlined on it."""

    heatmap: np.ndarray
    title: str
    caption: str
    region: np.ndarray | None = None


def draw(photograph: np.ndarray, name: str, panels: Sequence[Panel], look: Look) -> Any:
    """Return the PIL image of a photograph ``(h, w, 3)`` uint8 and its maps."""
    from PIL import Image, ImageDraw

    overlays = [blend(photograph, one.heatmap, look.alpha, look.cmap, grey=True, region=one.region) for one in panels]
    if look.bare:
        return Image.fromarray(overlays[0])
    parts = [Image.fromarray(part) for part in (photograph, *overlays)]
    titles = [(name, "the image"), *((one.title, one.caption) for one in panels)]
    scale = min(max(_SMALLEST / max(parts[0].size), 1.0), _LARGEST / max(parts[0].size))
    width, height = (max(1, round(scale * size)) for size in parts[0].size)
    # A narrow photograph still leaves room for the words above it.
    cell, head = max(width, 180), _LETTERS + _SMALL + 14
    across = min(len(parts), _ACROSS)
    rows = -(-len(parts) // across)
    size = (
        _MARGIN + across * (cell + _MARGIN) + _BAR + 3 * _MARGIN,
        _MARGIN + rows * (head + height + _MARGIN),
    )
    picture = Image.new("RGB", size, _PAPER)
    pen = ImageDraw.Draw(picture)
    for index, (part, (title, caption)) in enumerate(zip(parts, titles, strict=True)):
        left = _MARGIN + index % across * (cell + _MARGIN)
        top = _MARGIN + index // across * (head + height + _MARGIN)
        pen.text((left, top), _shortened(title, _LETTERS, cell), _INK, _font(_LETTERS))
        pen.text((left, top + _LETTERS + 6), _shortened(caption, _SMALL, cell), _FAINT, _font(_SMALL))
        picture.paste(part.resize((width, height), Image.Resampling.BICUBIC), (left, top + head))
    _draw_bar(picture, pen, _MARGIN + across * (cell + _MARGIN), _MARGIN + head, height, look)
    return picture


def _draw_bar(picture: Any, pen: Any, left: int, top: int, height: int, look: Look) -> None:
    """Draw which colour is how much of a map's maximum."""
    from PIL import Image

    values = np.linspace(1.0, 0.0, height)[:, None].repeat(_BAR, axis=1)
    colours = np.round(255 * Scale(look.cmap, 1.0, False).colours(values)).astype(np.uint8)
    picture.paste(Image.fromarray(colours), (left, top))
    font = _font(_SMALL)
    for share in (0.0, 0.5, 1.0):
        middle = top + (1.0 - share) * (height - 1)
        pen.text((left + _BAR + 4, middle), f"{share:g}", _INK, font, anchor="lm")


def _shortened(text: str, letters: int, width: int) -> str:
    """Return as much of a line as fits a width."""
    line = " ".join(text.split())
    if _font(letters).getlength(line) <= width:
        return line
    while line and _font(letters).getlength(f"{line}…") > width:
        line = line[:-1]
    return f"{line.rstrip()}…"


@cache
def _font(size: int) -> Any:
    """Return matplotlib's own font, which has the letters of most languages."""
    from matplotlib.font_manager import findfont
    from PIL import ImageFont

    return ImageFont.truetype(findfont("DejaVu Sans"), size)
