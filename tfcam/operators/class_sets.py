"""Sets of classes, of each image as many as it has."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfcam.operators.classification import read_classes, read_numbers


def read_class_sets(values: Any, count: int, classes: int) -> np.ndarray:
    """Return sets of classes, checked, as ``(N, classes)`` float32: 1 for those that are in it.

    They are lists, tuples, sets or arrays of classes, where -1 is none; ``(N, classes)`` of 0 and 1, as labels are; or
    a class, for all images or for each.
    """
    array = np.asarray(values)
    rows: Any = array
    if array.shape == (count, classes) and array.dtype != object and np.isin(array, (0, 1)).all():
        rows = [np.flatnonzero(row) for row in array]
    elif array.ndim == 0:
        rows = [array] * count
    if len(rows) != count:
        raise ValueError(f"{len(rows)} sets of classes were given for {count} images; there must be one for each.")
    sets = np.zeros((count, classes), np.float32)
    for image, row in enumerate(rows):
        members = read_numbers(list(row) if np.ndim(row) or isinstance(row, (set, frozenset)) else [row])
        members = read_classes(members[members != -1], classes)
        if not members.size:
            raise ValueError(f"image {image} has no class in its set: leave the image out, or name a class.")
        sets[image, members] = 1.0
    return sets
