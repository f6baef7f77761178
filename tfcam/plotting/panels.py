"""What the panels of a figure show: images and heatmaps in every form that they are given in."""

from __future__ import annotations

from typing import Any

import numpy as np


def of_channels_last(images: Any, heatmaps: Any) -> Any:
    """Return images with their channels last, where the heatmaps tell that these are first."""
    shape: Any = getattr(images, "shape", ())
    if len(shape) == 4 and shape[1] in (1, 3, 4):
        grids = [tuple(grid[-2:]) for grid in _grids_of(heatmaps)]
        if tuple(shape[2:]) in grids and tuple(shape[1:3]) not in grids:
            return np.moveaxis(np.asarray(images), 1, -1)
    return images


def shows_series(images: Any, heatmaps: Any) -> bool:
    """Whether images are series ``(T, C)``, each with maps of its T steps."""
    grids = _grids_of(heatmaps)
    return len(images) > 0 and np.ndim(images[0]) == 2 and bool(grids) and all(len(grid) == 1 for grid in grids)


def _grids_of(heatmaps: Any) -> list[tuple[int, ...]]:
    """Return the shapes of the maps of the first image, their last axis of one number left out."""
    named = heatmaps.values() if isinstance(heatmaps, dict) else [heatmaps]
    shapes = [np.shape(maps[0]) for maps in named if len(maps)]
    return [shape[:-1] if len(shape) > 1 and shape[-1] == 1 else shape for shape in shapes]


def in_squares(heatmap: np.ndarray, grid: tuple[int, ...]) -> np.ndarray:
    """Return a heatmap of a layer's own grid at that of the image, each cell a square of one value."""
    values = heatmap[..., 0] if heatmap.ndim == 3 else heatmap
    if values.shape == tuple(grid):
        return values
    if any(cells > size or size % cells > size // cells for cells, size in zip(values.shape, grid, strict=True)):
        return values
    rows, columns = (np.arange(size) * cells // size for cells, size in zip(values.shape, grid, strict=True))
    return values[rows][:, columns]


def maps_of_each(heatmaps: Any, panel_titles: Any, count: int) -> list[list[tuple[str, np.ndarray]]]:
    """Return the titled maps of each image."""
    named = heatmaps if isinstance(heatmaps, dict) else {"": heatmaps}
    rows: list[list[tuple[str, np.ndarray]]] = [[] for _ in range(count)]
    for name, maps in named.items():
        if len(maps) != count:
            raise ValueError(f"{len(maps)} heatmaps {name!r} were given for {count} images.")
        for index, (row, of_image) in enumerate(zip(rows, maps, strict=True)):
            one = np.asarray(of_image, dtype=np.float32)
            if one.ndim < 4 and (one.ndim < 3 or one.shape[-1] == 1):
                row.append((name, one))
                continue
            of_panels = _panel_titles(panel_titles, index, len(one), count)
            row.extend(
                (f"{name}: {title}" if name and title else name or title, part)
                for title, part in zip(of_panels, one, strict=True)
            )
    return rows


def _panel_titles(panel_titles: Any, index: int, panels: int, count: int) -> list[str]:
    if panel_titles is None:
        return [""] * panels
    shape = np.shape(panel_titles)
    if shape not in ((panels,), (count, panels)):
        raise ValueError(f"panel_titles must be ({panels},) or ({count}, {panels}) names, got the shape {shape}.")
    return [str(title) for title in (panel_titles if len(shape) == 1 else panel_titles[index])]
