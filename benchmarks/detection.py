"""Where methods see the object whose detection they explain, in the embedded detector.

Each scene has three objects, all of one class or of different ones, and each detection that is right is explained.
Prints a table and, with ``--write``, puts it into docs/tasks/detection.md. Some minutes.

    python benchmarks/detection.py --write
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import warnings

import keras
import numpy as np
from pages import publish_named, with_interval

import tfcam
from tfcam.demo import load_model, make_scenes
from tfcam.demo.detector_training import boxes_of
from tfcam.demo.scenes import SIZE
from tfcam.ops.boxes import iou
from tfcam.ops.filled_boxes import filled

SCENES, SEED = 60, 11
UNTRAINED = " of random weights"
#: The levels of the pyramid, and a layer of the classifier that they are made of, as fine as the finest of them.
LAYERS = {"levels": None, "relu3": "relu3"}
METHODS = ("odam", "layer-cam", "grad-cam", "grad-cam-plus-plus", "xgrad-cam", "eigen-cam", "random-cam")
#: The middle of the box is no map of the model at all.
MIDDLE = "the middle of the box"
MASKED = {"d-rise": {"samples": 500, "cells": 8}, "rise": {"samples": 500, "cells": 8}}
MASKED_DETECTIONS = 60
FLOORS = (*(f"{method}{UNTRAINED}" for method in ("odam", "layer-cam")), MIDDLE)
ROWS = (*METHODS, *MASKED, *FLOORS)


class Explained(NamedTuple):
    """Images, once for each detection, what is explained of them, and the masks of its object and of the others."""

    images: np.ndarray
    targets: dict[str, np.ndarray]
    own: np.ndarray
    others: np.ndarray


@cache
def model(trained: bool) -> Any:
    """Return the embedded detector, or one of its architecture and random weights."""
    detector = load_model("detector")
    if trained:
        return detector
    keras.utils.set_random_seed(0)
    return keras.models.clone_model(detector)


@cache
def explained(alike: bool) -> Explained:
    """Return what is detected in scenes: class and half of the box right."""
    scenes = make_scenes(SCENES, 3, SEED, alike=alike)
    images = scenes.images.astype("float32")
    _, found = tfcam.ODAM(model(True)).explain_detections(images, k=3, resize=False)
    overlap = iou(found["boxes"][:, :, None], boxes_of(scenes)[:, None]).numpy()
    overlap[found["classes"][:, :, None] != scenes.labels[:, None]] = 0.0
    rows, numbers = np.nonzero(overlap.max(axis=-1) >= 0.5)
    own = scenes.masks[rows, overlap[rows, numbers].argmax(axis=-1)]
    others = np.any(scenes.masks, axis=1)[rows] & ~own
    print(f"{len(rows)} of {3 * SCENES} objects are detected", flush=True)
    targets = {"boxes": found["boxes"][rows, numbers], "classes": found["classes"][rows, numbers]}
    return Explained(images[rows], targets, own, others)


def maps_of(row: str, layer: str | None, shown: Explained) -> np.ndarray:
    """Return the maps of a row of the table."""
    method = row.removesuffix(UNTRAINED)
    if row == MIDDLE:
        left, top, right, bottom = shown.targets["boxes"].clip(0, SIZE - 1).T
        middles = np.zeros((len(shown.images), SIZE, SIZE))
        middles[np.arange(len(middles)), ((top + bottom) / 2).astype(int), ((left + right) / 2).astype(int)] = 1.0
        return middles
    options = MASKED.get(method, {"conv_layer": layer})
    explainer = tfcam.get_method(method)(model(row == method), operator="detection", **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", tfcam.ExplanationWarning)
        return explainer.explain(shown.images, shown.targets).numpy()[..., 0]


def part(row: str, shown: Explained) -> Explained:
    """Return the detections that a row is of: the first of them where each takes hundreds of passes."""
    count = MASKED_DETECTIONS if row in MASKED else len(shown.images)
    targets = {name: values[:count] for name, values in shown.targets.items()}
    return Explained(shown.images[:count], targets, shown.own[:count], shown.others[:count])


def values_of(row: str, layer: str | None, alike: bool) -> str:
    """Return how often the maximum is on the object, in the box, on another; how much of the map is on the object."""
    shown = part(row, explained(alike))
    maps = maps_of(row, layer, shown)
    flat = maps.reshape(len(maps), -1)
    peak = flat.argmax(axis=-1)
    each = np.arange(len(maps))
    is_lit = flat.max(axis=-1) > 0
    boxes = np.stack([filled(box[None], maps.shape[1:]) for box in shown.targets["boxes"]])
    places = (shown.own, boxes, shown.others)
    peaks = [(masks.reshape(len(maps), -1)[each, peak] & is_lit).astype(float) for masks in places]
    mass = (maps * shown.own).sum(axis=(1, 2)) / np.maximum(maps.sum(axis=(1, 2)), 1e-30)
    return " | ".join(map(with_interval, (*peaks, mass)))


def table(rows: list[str]) -> Iterator[str]:
    """Yield the lines of the table."""
    heads = [
        f"{kind}: {of}" for kind in ("different classes", "one class") for of in ("object", "box", "others", "mass")
    ]
    yield f"| method | at | {' | '.join(heads)} |"
    yield "| --- " * (2 + len(heads)) + "|"
    for row in rows:
        for name, layer in ({"the image": None} if row in MASKED or row == MIDDLE else LAYERS).items():
            cells = " | ".join(values_of(row, layer, alike) for alike in (False, True))
            yield f"| {row} | {name} | {cells} |"


if __name__ == "__main__":
    publish_named(table, ROWS, "tasks/detection.md", "detection.py", __doc__)
