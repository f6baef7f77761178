"""Images of any range as pixels, alone or with a heatmap laid over them."""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np

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
    cmap: str = "inferno",
    vmax: float | None = None,
    value_range: tuple[float, float] | None = None,
) -> np.ndarray:
    """Return the pixels of an image with its heatmap laid over it.

    Parameters
    ----------
    image : array (H, W, C) or (H, W)
        uint8, or floats in [0, 1], [-1, 1] or any other range.
    heatmap : array (H, W) or (H, W, 1)
        Zero is transparent, the maximum has the opacity `alpha`.
    alpha : float in [0, 1]
    cmap : str
        A matplotlib colour map.
    vmax : float or None
        The value shown hottest; None: the map's own maximum.
    value_range : tuple of float or None
        The values of the image that are black and white; None: told by its own values.

    Returns
    -------
    numpy.ndarray
        ``(H, W, 3)`` uint8.

    Raises
    ------
    ValueError
        Where image and heatmap have different grids, `alpha` is out of range, or values are not finite.
    """
    base = displayable(image, value_range)
    values = np.asarray(heatmap, dtype=np.float32)
    values = values[..., 0] if values.ndim == 3 else values
    if values.shape != base.shape[:2]:
        raise ValueError(f"heatmap has the grid {values.shape}, the image {base.shape[:2]}; they must agree.")
    if not np.isfinite(values).all():
        raise ValueError("heatmap holds NaN or infinite values, which have no colour.")
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must be in [0, 1], got {alpha}.")
    top = float(values.max()) if vmax is None else vmax
    share = np.clip(values / top, 0, 1) if top > 0 else np.zeros_like(values)
    colours = matplotlib.colormaps[cmap](share)[..., :3]
    opacity = alpha * np.sqrt(share)[..., None]
    return np.round(255 * (base * (1 - opacity) + colours * opacity)).clip(0, 255).astype(np.uint8)
