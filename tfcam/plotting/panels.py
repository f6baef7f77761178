"""What the panels of a figure show: images and heatmaps in every form that they are given in."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfcam.ops.filled_boxes import filled


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


def outlines_of(images: Any, regions: Any, boxes: Any, panels: int) -> list[list[Any]]:
    """Return the mask that is outlined on each map of each image; None where there is none.

    Raises
    ------
    ValueError
        Where regions and boxes are given, or boxes are not one for each image or each of its maps.
    """
    if boxes is None:
        return [[None if regions is None else regions[index]] * panels for index in range(len(images))]
    if regions is not None:
        raise ValueError("regions= and boxes= are outlined alike: give one of them.")
    values, count = np.asarray(boxes, np.float64), len(images)
    if values.shape not in ((count, 4), (count, panels, 4)):
        raise ValueError(
            f"boxes have the shape {values.shape}; expected ({count}, 4), or ({count}, {panels}, 4), one for each map: "
            "left, top, right and bottom in pixels."
        )
    each = np.broadcast_to(values[:, None] if values.ndim == 2 else values, (count, panels, 4))
    grids = [np.shape(image)[:2] for image in images]
    # Of fewer detections than there are maps, the last boxes have no area.
    return [
        [filled(box[None], grid) if (box[2:] > box[:2]).all() else None for box in row]
        for row, grid in zip(each, grids, strict=True)
    ]
