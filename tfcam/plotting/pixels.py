"""Images of any value range as pixels, alone or blended with a heatmap."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import matplotlib
import numpy as np

from tfcam.ops.nearest import nearest

#: The colour maps of heatmaps, and of those with negative values.
UNSIGNED, SIGNED = "inferno", "bwr"
#: What red, green and blue add to the brightness of a pixel.
_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)
#: Floats from 0 up to more than this are taken for values up to 255, of which hardly any image has none above it.
_DARKEST = 10


def value_range_of(*images: Any) -> tuple[float, float]:
    """Return the values that are black and white in images: (0, 1), (0, 255), (-1, 1), or those that they hold.

    Raises
    ------
    ValueError
        Where an image is empty, or holds NaN or infinite values.
    """
    arrays = [_checked(image) for image in images]
    low, high = min(float(array.min()) for array in arrays), max(float(array.max()) for array in arrays)
    of_bytes = any(array.dtype.kind in "iu" for array in arrays) or high > _DARKEST
    if of_bytes and low >= 0 and high <= 255:
        return 0.0, 255.0
    if -1 <= low < 0 and high <= 1:
        return -1.0, 1.0
    return (low, high) if low < 0 or high > 1 else (0.0, 1.0)


def displayable(image: Any, value_range: tuple[float, float] | None = None) -> np.ndarray:
    """Return an image ``(H, W, C)`` or ``(H, W)`` of any range as RGB ``(H, W, 3)`` float in [0, 1].

    Integers and values up to 255 are divided by 255; [-1, 1] is shifted; any other range is stretched, and an image of
    one value out of range is grey. Of four channels the last is opacity, which is left out; any other number but three
    is averaged. `value_range`, such as that of many images, are the values that become black and white.
    """
    low, high = value_range_of(image) if value_range is None else value_range
    values = _checked(image).astype(np.float32)
    if values.ndim == 2:
        values = values[..., None]
    if values.shape[-1] == 4:
        values = values[..., :3]
    elif values.shape[-1] != 3:
        values = np.repeat(values.mean(axis=-1, keepdims=True), 3, axis=-1)
    return ((values - low) / (high - low)).clip(0, 1) if high > low else np.full_like(values, 0.5)


def _checked(image: Any) -> np.ndarray:
    values = np.asarray(image)
    if values.ndim not in (2, 3) or not values.size:
        raise ValueError(f"image must be (H, W, C) or (H, W), and not empty; got the shape {values.shape}.")
    if not np.isfinite(values).all():
        raise ValueError("image holds NaN or infinite values, which have no colour.")
    return values


def blend(
    image: Any,
    heatmap: Any,
    alpha: float = 0.5,
    cmap: str | None = None,
    vmax: float | None = None,
    value_range: tuple[float, float] | None = None,
    *,
    grey: bool = False,
    region: Any = None,
) -> np.ndarray:
    """Return the pixels of an image with its heatmap laid over it.

    Parameters
    ----------
    image : array (H, W, C) or (H, W)
        uint8, or floats in [0, 1], [-1, 1] or any other range.
    heatmap : array (H, W) or (H, W, 1)
        Zero is transparent, the value farthest from it has the opacity `alpha`. Negative values, those of a signed map,
        have the colours of the lower half of the colour map, and zero its middle.
    alpha : float in [0, 1]
    cmap : str or None
        A matplotlib colour map. None: ``"inferno"``, and ``"bwr"`` for a heatmap with negative values, red for and blue
        against.
    vmax : float or None
        The value shown hottest; None: the largest of the map, without its sign.
    value_range : tuple of float or None
        The values of the image that are black and white; None: told by its own values.
    grey : bool
        Whether the image is shown without its colours, on which those of the map stand out.
    region : array (h, w) or (h, w, 1), or None
        What is not zero is outlined in white, such as the pixels that were explained; of the image's size, or of that
        of the model's output.

    Returns
    -------
    numpy.ndarray
        ``(H, W, 3)`` uint8.

    Raises
    ------
    ValueError
        Where image and heatmap have different grids, `alpha` is out of range, values are not finite, or a region is no
        mask of one image.
    """
    values = np.asarray(heatmap, dtype=np.float32)
    return blend_by(image, values, alpha, Scale.of([values], cmap, vmax), value_range, grey, region)


def blend_by(
    image: Any,
    heatmap: Any,
    alpha: float,
    scale: Scale,
    value_range: tuple[float, float] | None,
    grey: bool,
    region: Any = None,
) -> np.ndarray:
    """Return the pixels of an image with its heatmap laid over it, in the colours of a scale."""
    base = displayable(image, value_range)
    values = np.asarray(heatmap, dtype=np.float32)
    values = values[..., 0] if values.ndim == 3 else values
    if values.shape != base.shape[:2]:
        raise ValueError(f"heatmap has the grid {values.shape}, the image {base.shape[:2]}; they must agree.")
    if not np.isfinite(values).all():
        raise ValueError("heatmap holds NaN or infinite values, which have no colour.")
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must be in [0, 1], got {alpha}.")
    if grey:
        base = np.repeat((base @ _LUMINANCE)[..., None], 3, axis=-1)
    opacity = alpha * np.sqrt(np.abs(scale.shares(values)))[..., None]
    pixels = np.round(255 * (base * (1 - opacity) + scale.colours(values) * opacity)).clip(0, 255).astype(np.uint8)
    return pixels if region is None else _outlined(pixels, np.asarray(region))


def _outlined(pixels: np.ndarray, region: np.ndarray) -> np.ndarray:
    """Return pixels ``(H, W, 3)`` with a white line around a region, and a black one around that."""
    # Most pictures have no region, and the import takes longer than they do.
    from scipy.ndimage import binary_dilation

    region = region[..., 0] if region.ndim == 3 and region.shape[-1] == 1 else region
    if region.ndim != 2 or not region.size:
        raise ValueError(f"a region is a mask (h, w) of one image, got the shape {region.shape}.")
    inside = nearest(region != 0, pixels.shape[:2])
    line = max(1, round(min(inside.shape) / 150))
    for colour, reach in ((0, 2 * line), (255, line)):
        pixels[binary_dilation(inside, iterations=reach) & ~inside] = colour
    return pixels


class Scale(NamedTuple):
    """Which colour a value of a heatmap has.

    Attributes
    ----------
    cmap : str
        A matplotlib colour map.
    top : float
        The value of its upper end.
    is_signed : bool
        Whether its lower end is that of ``-top``, rather than of zero.
    """

    cmap: str
    top: float
    is_signed: bool

    @classmethod
    def of(cls, heatmaps: Iterable[np.ndarray], cmap: str | None, top: float | None = None) -> Scale:
        """Return the scale of heatmaps: symmetric about zero where any of them is negative anywhere."""
        ends = [(float(np.min(one)), float(np.max(one))) for one in heatmaps if np.size(one)] or [(0.0, 0.0)]
        low, high = min(low for low, _ in ends), max(high for _, high in ends)
        top = max(-low, high) if top is None else top
        return cls(cmap or (SIGNED if low < 0 else UNSIGNED), top if top > 0 else 1.0, low < 0)

    @property
    def bottom(self) -> float:
        """The value of the lower end of the colour map."""
        return -self.top if self.is_signed else 0.0

    def shares(self, values: np.ndarray) -> np.ndarray:
        """Return values as shares of the largest, from -1 or 0 to 1."""
        return np.clip(values / self.top, -1.0 if self.is_signed else 0.0, 1.0)

    def colours(self, values: np.ndarray) -> np.ndarray:
        """Return the colours ``(..., 3)`` of values."""
        shares = self.shares(values)
        found: np.ndarray = matplotlib.colormaps[self.cmap]((shares + 1) / 2 if self.is_signed else shares)
        return found[..., :3]
