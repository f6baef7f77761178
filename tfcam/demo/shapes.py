"""The shapes of the objects in the scenes, in coordinates from -1 to 1, v downwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

#: Where a part of an object is, and which of the object's paints covers it.
Part = tuple[np.ndarray, str]


def ellipse(u: np.ndarray, v: np.ndarray, x: float, y: float, width: float, height: float) -> np.ndarray:
    """Return where an ellipse of these half axes round (x, y) is."""
    return ((u - x) / width) ** 2 + ((v - y) / height) ** 2 < 1


def box(u: np.ndarray, v: np.ndarray, left: float, top: float, right: float, bottom: float) -> np.ndarray:
    """Return where an upright box is."""
    return (u > left) & (u < right) & (v > top) & (v < bottom)


def polygon(u: np.ndarray, v: np.ndarray, *corners: tuple[float, float]) -> np.ndarray:
    """Return where the inside of a polygon is, by the even-odd rule."""
    inside = np.zeros(u.shape, bool)
    for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
        if y0 != y1:
            crosses = (y0 > v) != (y1 > v)
            inside ^= crosses & (u < x0 + (v - y0) / (y1 - y0) * (x1 - x0))
    return inside


def boat(u: np.ndarray, v: np.ndarray) -> Iterator[Part]:
    """Yield the parts of a sailing boat."""
    yield box(u, v, -0.06, -0.95, 0.04, 0.4), "dark"
    yield polygon(u, v, (0.1, -0.9), (0.85, 0.25), (0.1, 0.25)), "main"
    yield polygon(u, v, (-0.12, -0.6), (-0.12, 0.25), (-0.65, 0.25)), "light"
    yield polygon(u, v, (-0.9, 0.36), (0.9, 0.36), (0.55, 0.85), (-0.55, 0.85)), "second"


def butterfly(u: np.ndarray, v: np.ndarray) -> Iterator[Part]:
    """Yield the parts of a butterfly."""
    for side in (-1, 1):
        yield ellipse(side * u - 0.3 * v, v, 0.58, -0.32, 0.42, 0.52), "main"
        yield ellipse(side * u + 0.2 * v, v, 0.48, 0.45, 0.32, 0.4), "second"
        yield ellipse(side * u - 0.3 * v, v, 0.62, -0.35, 0.16, 0.2), "light"
        yield ellipse(side * u + 0.5 * v, v, -0.3, -0.72, 0.05, 0.25), "dark"
    yield ellipse(u, v, 0, 0.05, 0.1, 0.72), "dark"


def cup(u: np.ndarray, v: np.ndarray) -> Iterator[Part]:
    """Yield the parts of a cup."""
    yield ellipse(u, v, 0.48, 0.08, 0.46, 0.42) & ~ellipse(u, v, 0.48, 0.08, 0.29, 0.25), "second"
    yield polygon(u, v, (-0.75, -0.55), (0.5, -0.55), (0.36, 0.8), (-0.61, 0.8)), "main"
    yield ellipse(u, v, -0.125, -0.55, 0.625, 0.17), "light"
    yield ellipse(u, v, -0.125, -0.53, 0.5, 0.11), "dark"


def fish(u: np.ndarray, v: np.ndarray) -> Iterator[Part]:
    """Yield the parts of a fish."""
    yield polygon(u, v, (-0.4, 0), (-0.98, -0.5), (-0.8, 0), (-0.98, 0.5)), "second"
    yield polygon(u, v, (-0.25, -0.3), (0.1, -0.75), (0.45, -0.3)), "second"
    yield ellipse(u, v, 0.2, 0, 0.75, 0.45), "main"
    yield polygon(u, v, (0.25, 0.05), (-0.15, -0.02), (-0.1, 0.3)), "light"
    yield ellipse(u, v, 0.62, -0.1, 0.13, 0.13), "light"
    yield ellipse(u, v, 0.64, -0.1, 0.06, 0.06), "dark"


def flower(u: np.ndarray, v: np.ndarray) -> Iterator[Part]:
    """Yield the parts of a flower."""
    yield box(u, v, -0.06, 0.0, 0.06, 0.98), "dark"
    yield ellipse(u - 0.4 * (v - 0.6), v, 0.3, 0.62, 0.3, 0.13), "second"
    for petal in range(6):
        angle = petal * np.pi / 3
        yield ellipse(u, v, 0.4 * np.cos(angle), 0.4 * np.sin(angle) - 0.3, 0.27, 0.27), "main"
    yield ellipse(u, v, 0, -0.3, 0.23, 0.23), "light"


def house(u: np.ndarray, v: np.ndarray) -> Iterator[Part]:
    """Yield the parts of a house."""
    yield box(u, v, 0.3, -0.85, 0.5, -0.2), "dark"
    yield box(u, v, -0.65, -0.1, 0.65, 0.85), "main"
    yield polygon(u, v, (-0.9, -0.08), (0, -0.85), (0.9, -0.08)), "second"
    yield box(u, v, -0.45, 0.25, -0.12, 0.85), "dark"
    yield box(u, v, 0.1, 0.15, 0.48, 0.5), "light"


def mushroom(u: np.ndarray, v: np.ndarray) -> Iterator[Part]:
    """Yield the parts of a mushroom."""
    yield polygon(u, v, (-0.2, -0.1), (0.2, -0.1), (0.32, 0.9), (-0.32, 0.9)), "light"
    cap = ellipse(u, v, 0, 0, 0.92, 0.88) & (v < 0.06)
    yield cap, "main"
    for x, y, radius in ((-0.45, -0.25, 0.15), (0.05, -0.55, 0.17), (0.5, -0.2, 0.13)):
        yield cap & ellipse(u, v, x, y, radius, radius), "second"


def umbrella(u: np.ndarray, v: np.ndarray) -> Iterator[Part]:
    """Yield the parts of an umbrella."""
    yield box(u, v, -0.05, -0.95, 0.05, 0.75), "dark"
    hook = ellipse(u, v, 0.17, 0.72, 0.22, 0.24) & ~ellipse(u, v, 0.17, 0.72, 0.12, 0.14)
    yield hook & (v > 0.7), "dark"
    canopy = ellipse(u, v, 0, 0, 0.95, 0.8) & (v < 0)
    for x in (-0.63, 0, 0.63):
        canopy &= ~ellipse(u, v, x, 0.02, 0.32, 0.16)
    yield canopy, "main"
    yield canopy & (np.abs(u) < 0.35 * np.sqrt(np.clip(1 - (v / 0.8) ** 2, 0, 1))), "second"


#: Class i of the scenes is the i-th of these.
SHAPES: list[Callable[[np.ndarray, np.ndarray], Iterator[Part]]] = [
    *(boat, butterfly, cup, fish, flower, house, mushroom, umbrella)
]
