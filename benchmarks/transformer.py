"""Where every method sees the objects of scenes, in the embedded transformers and in the convolutional network.

Each scene has two objects, and the map of each is asked for. Prints a table and, with ``--write``, puts it into
docs/transformers.md. Half an hour.

    python benchmarks/transformer.py --write
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import warnings

import numpy as np
from pages import publish_named, with_interval

import tfcam
from tfcam.demo import load_model, make_scenes

#: How many scenes, by whether a method takes many passes.
SCENES, SEED = {False: 60, True: 10}, 11
METRICS: dict[str, dict[str, Any]] = {"pointing-game": {"tolerance": 0}, "energy-pointing-game": {}}
MODELS = ("cnn", "vit", "swin", "hybrid")
METHODS = [name for name, method in tfcam.METHODS.items() if method.needs not in ("pooled head", "boxes")]
SHORT = {"pointing-game": "pointing", "energy-pointing-game": "energy"}
#: An eighth of the masks that RISE draws of itself.
OPTIONS = {"rise": {"samples": 500}}


@cache
def model_named(name: str) -> Any:
    """Return an embedded model."""
    return load_model(name)


def of_objects(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return scenes, each once for each of its two objects, with the classes and the masks of these."""
    images, labels, masks = make_scenes(count, objects=2, seed=SEED)
    return np.repeat(images, 2, axis=0).astype("float32"), labels.ravel(), masks.reshape(-1, *masks.shape[2:])


def means_of(name: str, method: str) -> list[str]:
    """Return the mean of each metric of a model, and half of its interval of 95 %, over scenes."""
    kind, model = tfcam.METHODS[method], model_named(name)
    if kind.needs and name == "cnn":
        return ["" for _ in METRICS]
    images, labels, masks = of_objects(SCENES[kind.cost_class == "many"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", tfcam.ExplanationWarning)
        explainer = kind(model, batch_size=20, **OPTIONS.get(method, {}))
        found = tfcam.evaluate(model, images, labels, [explainer], metrics=METRICS, masks=masks, batch_size=20)
    [values] = found.per_sample.values()
    # Both maps of a scene are of one image. A map that is the same everywhere has no value.
    pairs = [np.ma.masked_invalid(values[metric]).reshape(-1, 2).mean(axis=1) for metric in METRICS]
    return [with_interval(np.ma.compressed(each)) for each in pairs]


def table(methods: list[str]) -> Iterator[str]:
    """Yield the lines of the table."""
    columns = [(name, metric) for name in MODELS for metric in METRICS]
    arrows = ["↑" if tfcam.METRICS[metric].higher_is_better else "↓" for _, metric in columns]
    heads = [f"{name}: {SHORT.get(metric, metric)}" for name, metric in columns]
    yield f"| method | {' | '.join(f'{head} {arrow}' for head, arrow in zip(heads, arrows, strict=True))} |"
    yield "| --- " * (1 + len(heads)) + "|"
    for method in methods:
        yield f"| {method} | {' | '.join(value for name in MODELS for value in means_of(name, method))} |"


if __name__ == "__main__":
    publish_named(table, METHODS, "transformers.md", "transformer.py", __doc__)
