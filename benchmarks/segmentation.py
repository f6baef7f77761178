"""Where methods at each depth see the object whose pixels they explain, in the embedded segmenter.

Each scene has two objects, and the region that is predicted as the class of each is explained. Prints a table and, with
``--write``, puts it into docs/tasks/segmentation.md. Some minutes.

    python benchmarks/segmentation.py --write
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import warnings

import keras
import numpy as np
from pages import publish_named, with_interval

import tfcam
from tfcam.demo import load_model, make_scenes

SCENES, SEED = 200, 11
METRICS: dict[str, dict[str, Any]] = {"pointing-game": {"tolerance": 0}, "relevance-mass-accuracy": {}}
#: From the input to the output: two of the way down, the coarsest grid, and three of the way up.
LAYERS = ("relu3", "relu5", "relu6", "relu_up5", "relu_up3", "relu_up1")
UNTRAINED = " of random weights"
METHODS = ("grad-cam", "grad-cam-plus-plus", "xgrad-cam", "hires-cam", "seg-xres-cam", "layer-cam", "eigen-cam")
ROWS = (*METHODS, "random-cam", *(f"{method}{UNTRAINED}" for method in ("grad-cam", "seg-xres-cam")))


@cache
def model(trained: bool) -> Any:
    """Return the embedded segmenter, or one of its architecture and random weights."""
    segmenter = load_model("segmenter")
    if trained:
        return segmenter
    keras.utils.set_random_seed(0)
    return keras.models.clone_model(segmenter)


@cache
def explained() -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """Return scenes, once for each object, with what is explained, and the objects' masks.

    Objects of whose class nothing is predicted are left out.
    """
    images, labels, masks = make_scenes(SCENES, objects=2, seed=SEED)
    pixels, labels, masks = np.repeat(images, 2, axis=0).astype("float32"), labels.ravel(), masks.reshape(-1, 96, 96)
    predicted = np.repeat(model(True).predict(images.astype("float32"), verbose=0).argmax(axis=-1), 2, axis=0)
    regions = predicted == labels[:, None, None]
    found = regions.any(axis=(1, 2))
    print(f"{found.sum()} of {len(found)} objects are predicted somewhere", flush=True)
    return pixels[found], {"class": labels[found], "region": regions[found]}, masks[found]


def values_of(row: str, layer: str) -> str:
    """Return the mean of each metric, and half of its interval of 95 %; a map that is dark everywhere has 0."""
    method = row.removesuffix(UNTRAINED)
    pixels, targets, masks = explained()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", tfcam.ExplanationWarning)
        explainer = tfcam.get_method(method)(model(row == method), operator="segmentation", conv_layer=layer)
        maps = explainer.explain(pixels, targets).numpy()
    told = []
    for name, options in METRICS.items():
        metric = tfcam.get_metric(name)(masks=masks, constant="nan", **options)
        told.append(with_interval(np.nan_to_num(metric.per_sample(maps))))
    return " | ".join(told)


def table(rows: list[str]) -> Iterator[str]:
    """Yield the lines of the table."""
    heads = [f"{layer}: {of}" for layer in LAYERS for of in ("pointing", "mass")]
    yield f"| method | {' | '.join(heads)} |"
    yield "| --- " * (1 + len(heads)) + "|"
    for row in rows:
        yield f"| {row} | {' | '.join(values_of(row, layer) for layer in LAYERS)} |"


if __name__ == "__main__":
    publish_named(table, ROWS, "tasks/segmentation.md", "segmentation.py", __doc__)
