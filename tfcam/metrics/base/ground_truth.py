"""Ground truth: masks or boxes of the explained objects."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfcam.ops.filled_boxes import filled


class GroundTruth:
    """The objects of images: a mask each, or boxes.

    Parameters
    ----------
    masks : array (N, *grid) or (N, *grid, 1), or None
        What is not zero is the object.
    boxes : array (N, 4), list of arrays (4,) or (k, 4), or None
        Left, top, right and bottom, in pixels from the image's upper left corner, as in ``image[top:bottom,
        left:right]``; an image may have several.

    Raises
    ------
    ValueError, TypeError
        Where both are missing or of different number, a mask has no foreground, or a box no area.
    """

    def __init__(self, masks: Any = None, boxes: Any = None) -> None:
        if masks is None and boxes is None:
            raise ValueError("masks= or boxes= tell where the objects are: give one of them.")
        self._masks = None if masks is None else _read_masks(masks)
        self._boxes = None if boxes is None else [_read_box(box, index) for index, box in enumerate(boxes)]
        if self._masks is not None and self._boxes is not None and len(self._masks) != len(self._boxes):
            raise ValueError(f"{len(self._masks)} masks and {len(self._boxes)} boxes: give one for each image.")

    @property
    def count(self) -> int:
        """The number of images."""
        return len(self._boxes or []) if self._masks is None else len(self._masks)

    def part(self, start: int, stop: int) -> GroundTruth:
        """Return those of some of the images."""
        if stop > self.count:
            raise ValueError(f"The objects of {self.count} images were given for more images: one each is expected.")
        other = copy.copy(self)
        other._masks = None if self._masks is None else self._masks[start:stop]
        other._boxes = None if self._boxes is None else self._boxes[start:stop]
        return other

    def require_count(self, images: int | None) -> None:
        """Refuse objects of another number than there are images; None: not known yet."""
        if images is not None and self.count != images:
            raise ValueError(
                f"The objects of {self.count} images were given for {images} images: one each is expected."
            )

    def masks(self, grid: tuple[int, ...]) -> np.ndarray:
        """Return masks ``(N, *grid)``, of boxes what they hold."""
        if self._masks is None:
            return np.stack([filled(boxes, grid) for boxes in self.boxes(grid)])
        own = self._masks
        if own.shape[-1] == 1 and own.ndim == len(grid) + 2:
            own = own[..., 0]
        if own.shape[1:] != grid:
            raise ValueError(
                f"masks have the shape {self._masks.shape[1:]} each, and the images the grid {grid}: resize them as "
                "the images were (nearest neighbour)."
            )
        return own

    def boxes(self, grid: tuple[int, ...]) -> list[np.ndarray]:
        """Return the boxes ``(k, 4)`` of each image, of a mask the one around it."""
        if len(grid) != 2:
            raise ValueError(f"Boxes are of images of two dimensions, and these have the grid {grid}: give masks.")
        if self._boxes is None:
            return [_around(mask)[None] for mask in self.masks(grid)]
        for index, boxes in enumerate(self._boxes):
            outside = (boxes < 0) | (boxes > [grid[1], grid[0], grid[1], grid[0]])
            if outside.any():
                raise ValueError(
                    f"A box of image {index}, {boxes[outside.any(axis=1)][0].tolist()}, lies outside of its image of "
                    f"{grid[0]} x {grid[1]} pixels: boxes are left, top, right, bottom in pixels of the image that the "
                    "model gets; scale them as it was scaled."
                )
        return self._boxes


def joined(each: Sequence[GroundTruth]) -> GroundTruth:
    """Return the objects of images of one size as those of a batch; all have masks, boxes, or both."""
    masks = [other._masks for other in each if other._masks is not None]
    boxes = [box for other in each for box in other._boxes or []]
    return GroundTruth(np.concatenate(masks) if masks else None, boxes or None)


def _read_masks(masks: Any) -> np.ndarray:
    try:
        values = np.asarray(masks)
    except ValueError as error:
        raise ValueError(f"masks must be one array (N, *grid), all of one size ({error}).") from error
    if values.dtype.kind not in "biuf":
        raise TypeError(f"masks must be numbers or booleans (N, *grid), all of one size, got dtype {values.dtype}.")
    if values.ndim < 2 or not len(values):
        raise ValueError(f"masks have the shape {values.shape}; expected (N, *grid), one for each image.")
    if values.dtype.kind == "f" and ((values != np.round(values)) | ~np.isfinite(values)).any():
        raise ValueError("masks hold fractions or NaN: give True where the object is, such as probabilities > 0.5.")
    empty = np.flatnonzero(~values.reshape(len(values), -1).any(axis=1))
    if empty.size:
        shown = ", ".join(map(str, empty[:5])) + (" ..." if empty.size > 5 else "")
        hint = "; of a single mask of two dimensions, give masks[None]" if values.ndim == 2 else ""
        raise ValueError(
            f"masks {shown} have no foreground, so nothing is to be found there: leave those images out{hint}."
        )
    return values.astype(bool)


def _read_box(box: Any, index: int) -> np.ndarray:
    values = np.asarray(box, np.float64)
    boxes = values[None] if values.ndim == 1 else values
    if boxes.ndim != 2 or boxes.shape[-1] != 4 or not len(boxes):
        raise ValueError(
            f"boxes of image {index} have the shape {values.shape}; expected (4,) or (k, 4): left, top, right, bottom."
        )
    empty = ~((boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]))
    if empty.any():
        raise ValueError(
            f"A box of image {index}, {boxes[empty][0].tolist()}, has no area: boxes are left, top, right, bottom, not "
            "left, top, width, height."
        )
    return boxes


def _around(mask: np.ndarray) -> np.ndarray:
    """Return the box around what a mask holds: left, top, right, bottom."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float64)
