"""Targets of a detection as the user gives them: boxes and classes, read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfcam.operators.base import NothingToExplain
from tfcam.operators.classification import read_numbers
from tfcam.ops.boxes import BOX_FORMATS

#: The names of what is explained, what targets may call it, and its rank.
_KEYS = (("box", ("boxes", "box"), 2), ("class", ("classes", "labels", "class"), 1))


def read_detections(values: Any, count: int) -> dict[str, np.ndarray]:
    """Return the ``"box"`` ``(N, 4)`` float32, the ``"class"`` ``(N,)`` int32, or both, as they are given.

    Complete targets stay as they are.
    """
    if isinstance(values, Mapping) and "index" in values:
        return {name: np.asarray(value) for name, value in values.items()}
    if not isinstance(values, Mapping):
        array = read_numbers(values)
        values = {"boxes": array} if array.ndim > 1 else {"classes": array}
    found = {}
    for name, keys, rank in _KEYS:
        for key in keys:
            if key in values:
                found[name] = _read(key, values[key], (count, 4)[:rank])
                break
    if not found:
        raise ValueError(f"targets have the keys {list(values)}; expected 'boxes', with 'classes' or 'labels'.")
    return found


def present_detections(values: Any) -> dict[str, np.ndarray]:
    """Return detections, boxes ``(N, T, 4)`` and classes ``(N, T)``, without the last ones, which no image has.

    Of class -1, with which predictions are filled up, is none; its box may be anything.
    """
    given = values if isinstance(values, Mapping) else {}
    boxes, classes = (next((np.asarray(given[key]) for key in keys if key in given), None) for _, keys, _ in _KEYS)
    if boxes is None or classes is None or classes.ndim != 2 or boxes.shape != (*classes.shape, 4):
        shapes = {key: np.shape(value) for key, value in given.items()} or type(values).__name__
        raise ValueError(
            f"detections are {shapes}; expected a dict of 'boxes' (N, T, 4) and 'classes' or 'labels' (N, T), as "
            "model.predict returns them."
        )
    is_there = classes >= 0
    if not is_there.any():
        raise NothingToExplain("none of the images has a detection: the class of all is negative.")
    most = np.flatnonzero(is_there.any(axis=0))[-1] + 1
    boxes = np.where(is_there[..., None], boxes, 0.0)
    return {"boxes": boxes[:, :most], "classes": classes[:, :most]}


def _read(key: str, given: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return boxes ``(N, 4)`` or classes ``(N,)``; of several an image, the first; one for all is that of each."""
    values = np.asarray(given)
    if values.ndim == len(shape) + 1 and len(values) == shape[0] and values.shape[1]:
        values = values[:, 0]
    if values.shape == shape[1:]:
        values = np.broadcast_to(values, shape)
    if values.shape != shape:
        several = ", ".join(map(str, (shape[0], "M", *shape[1:])))
        raise ValueError(
            f"targets[{key!r}] have the shape {values.shape}; expected {shape}, or ({several}), of which the first is "
            "taken."
        )
    return read_numbers(values).astype(np.float32 if len(shape) == 2 else np.int32)


def check_box(number: int, box: np.ndarray, size: np.ndarray) -> str:
    """Return how a box of an image of this size is told; refuse one that lies outside, or is in another format."""
    (height, width), (left, top, right, bottom) = size, box
    remedy = f"give tfcam.Detection(box_format=...), one of {BOX_FORMATS}"
    shown = np.round(box.astype(float), 3).tolist()
    told = f"the box of image {number} of the batch, {shown} as left, top, right, bottom,"
    if (np.abs(box) <= 1.0).all():
        raise ValueError(f"{told} lies within one pixel: if it is in shares of the image, {remedy}.")
    if right <= left or bottom <= top:
        raise ValueError(f"{told} has no area: {remedy}.")
    inside = [(min(right, width) - max(left, 0)) / (right - left), (min(bottom, height) - max(top, 0)) / (bottom - top)]
    if min(inside) <= 0.5:
        raise ValueError(
            f"{told} lies outside of its image of {height} x {width} pixels: boxes are in pixels of the image that the "
            f"model gets; scale them as it was scaled, or {remedy}."
        )
    return told


def check_class(number: int, wanted: int, classes: int) -> None:
    """Refuse a class that does not exist, and -1, which stands for no detection."""
    if wanted >= classes:
        raise ValueError(f"class {wanted} does not exist: the detector has the classes 0 to {classes - 1}.")
    if wanted < 0:
        raise NothingToExplain(f"image {number} of the batch has no detection: its class is {wanted}.")
