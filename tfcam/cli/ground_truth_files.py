"""Ground truth of image files: mask images of the same names, or boxes in a CSV file."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from pathlib import Path

import numpy as np

from tfcam.cli.files import digest
from tfcam.cli.image_files import UnreadableImage, images_in
from tfcam.cli.options import text_of
from tfcam.metrics.base import GroundTruth

_SIDES = ("left", "top", "right", "bottom")


class GroundTruthFiles:
    """Masks and boxes of the image files of a folder.

    Parameters
    ----------
    folder : Path
        The images.
    masks : Path or None
        A folder with an image for each of them, of the same path and name but for its ending: what is not black is the
        object.
    boxes : Path or None
        A CSV file with the columns file, left, top, right and bottom, in pixels of the image file; a line for each box.

    Raises
    ------
    ValueError
        Where they cannot be read.
    """

    def __init__(self, folder: Path, masks: Path | None, boxes: Path | None) -> None:
        if masks is not None and not masks.is_dir():
            raise ValueError(f"--masks {masks} is no folder: give one with a mask for each image, of the same name.")
        self._folder = folder
        self._masks = None
        if masks is not None:
            self._masks = {one.relative_to(masks).with_suffix(""): one for one in images_in(masks)}
        self._boxes = _read_boxes(folder, boxes) if boxes is not None else None

    def of(self, image: Path, grid: tuple[int, ...]) -> GroundTruth:
        """Return where the objects of an image are, once it is resized to a grid.

        Raises
        ------
        UnreadableImage
            Where its mask is missing, broken or empty, or its boxes are missing or outside of it.
        """
        try:
            masks = None if self._masks is None else self._mask(image, grid, self._masks)[None]
            boxes = None if self._boxes is None else [self._scaled(image, grid, self._boxes)]
            found = GroundTruth(masks, boxes)
            if boxes is not None:
                found.boxes(grid)
        except Exception as error:
            raise UnreadableImage(f"{image}: {error}") from error
        return found

    def digest(self, image: Path) -> str:
        """Return what tells the files and lines that say where the objects of an image are from any other.

        Raises
        ------
        ValueError, OSError
            Where there are none.
        """
        mask = "" if self._masks is None else digest(self._mask_file(image, self._masks))
        return mask + ("" if self._boxes is None else f" {self._boxes.get(image)}")

    def _mask(self, image: Path, grid: tuple[int, ...], masks: dict[Path, Path]) -> np.ndarray:
        from PIL import Image

        with Image.open(self._mask_file(image, masks)) as file:
            # In grey, the first colours of a palette would be black.
            mask = (np.asarray(file if file.mode in ("P", "L", "1") else file.convert("L")) > 0).astype(np.uint8)
        return np.asarray(Image.fromarray(mask).resize((grid[1], grid[0]), Image.Resampling.NEAREST)) > 0

    def _mask_file(self, image: Path, masks: dict[Path, Path]) -> Path:
        name = image.relative_to(self._folder).with_suffix("")
        path = masks.get(name) or masks.get(Path(name.name))
        if path is None:
            raise ValueError(f"there is no mask named {name}.png.")
        return path

    def _scaled(self, image: Path, grid: tuple[int, ...], boxes: dict[Path, list[list[float]]]) -> np.ndarray:
        from PIL import Image, ImageOps

        if image not in boxes:
            raise ValueError("--boxes has no line of it.")
        with Image.open(image) as file:
            width, height = ImageOps.exif_transpose(file).size
        return np.array(boxes[image]) * np.tile([grid[1] / width, grid[0] / height], 2)


def _read_boxes(folder: Path, path: Path) -> dict[Path, list[list[float]]]:
    rows = csv.DictReader(io.StringIO(text_of(path, "--boxes"), newline=""), skipinitialspace=True)
    found: dict[Path, list[list[float]]] = defaultdict(list)
    for row in rows:
        number = rows.line_num
        try:
            found[folder / row["file"].strip()].append([float(row[side]) for side in _SIDES])
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise ValueError(
                f"--boxes {path}, line {number}: its first line must name the columns file, {', '.join(_SIDES)}, and "
                "the others hold a path within the folder, and numbers of pixels."
            ) from error
    if not found:
        raise ValueError(f"--boxes {path} has no box.")
    return dict(found)
