"""Image files with their classes: one folder per class, or a CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from tfcam.cli.image_files import images_in
from tfcam.cli.models import LoadedModel
from tfcam.cli.options import text_of

#: The names that columns of a CSV file go by, those that are sought first, first.
_FILE_COLUMNS = ("file", "image", "path", "filename", "file_name")
_CLASS_COLUMNS = ("class_index", "class", "label", "target", "name")


class Labelled(NamedTuple):
    """An image file, and the index of its class."""

    image: Path
    label: int


def labelled_images(folder: Path, labels: Path | None, loaded: LoadedModel, output: Path) -> list[Labelled]:
    """Return the image files of a folder with their classes, told by the folders in it, or by a CSV file.

    Raises
    ------
    ValueError
        Where there is no image, or no class of one.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder: give one of images, in a folder for each class or with --labels CSV.")
    found = _of_csv(folder, labels, loaded) if labels else _of_folders(folder, loaded, output)
    there_are = loaded.classes
    for image, label in found:
        if label < 0 or (there_are is not None and label >= there_are):
            raise ValueError(f"{image} is of class {label}; the model has the classes 0 to {(there_are or 0) - 1}.")
    return found


def _of_folders(folder: Path, loaded: LoadedModel, output: Path) -> list[Labelled]:
    folders = sorted(one for one in folder.iterdir() if one.is_dir() and one.name[0] != "." and one != output)
    images = {one: images_in(one, output) for one in folders}
    images = {one: found for one, found in images.items() if found}
    if not images:
        raise ValueError(
            f"{folder} holds no folder of images: put the images of each class into a folder that is named as the "
            "class, or give --labels CSV, with the columns file and class."
        )
    classes = _classes_of([one.name for one in images], loaded)
    return [Labelled(image, label) for label, found in zip(classes, images.values(), strict=True) for image in found]


def _classes_of(names: list[str], loaded: LoadedModel) -> list[int]:
    """Return the classes that folders are named after; or their order, where there is one for each class."""
    try:
        return [loaded.class_of(name) for name in names]
    except ValueError as error:
        if len(names) == loaded.classes:
            return list(range(len(names)))
        raise ValueError(
            f"The folders {', '.join(names[:3])} ... are not named after the model's classes, and there are "
            f"{len(names)} of them for {loaded.classes} classes: name them by class or number, give --classes FILE, or "
            "--labels CSV."
        ) from error


def _of_csv(folder: Path, labels: Path, loaded: LoadedModel) -> list[Labelled]:
    reader = csv.reader(io.StringIO(text_of(labels, "--labels"), newline=""))
    rows = [(reader.line_num, row) for row in reader]
    rows = [(line, row) for line, row in rows if any(cell.strip() for cell in row)]
    head = [cell.strip().lower() for cell in rows[0][1]] if rows else []
    file, label = _column(head, _FILE_COLUMNS), _column(head, _CLASS_COLUMNS)
    if file is None or label is None:
        raise ValueError(
            f"--labels {labels} begins with {', '.join(head) or 'nothing'}: its first line names the columns, one of "
            f"them {', '.join(_FILE_COLUMNS)}, and one {', '.join(_CLASS_COLUMNS)}."
        )
    found = []
    for number, row in rows[1:]:
        if len(row) <= max(file, label):
            raise ValueError(f"--labels {labels}, line {number}, has {len(row)} columns, not {len(head)}.")
        found.append(Labelled(folder / row[file].strip(), loaded.class_of(row[label].strip())))
    if not found:
        raise ValueError(f"--labels {labels} names no image.")
    return found


def _column(head: list[str], names: Iterable[str]) -> int | None:
    return next((head.index(name) for name in names if name in head), None)
