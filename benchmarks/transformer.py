"""Where every method sees the objects of scenes, in the embedded transformer and in the convolutional network.

Each scene has two objects, and the map of each is asked for. Prints a table and, with ``--write``, puts it into
docs/transformers.md. Half an hour.

    python benchmarks/transformer.py --write
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import warnings

import numpy as np
from pages import publish_named

import tfcam
from tfcam.demo import load_model, make_scenes

SCENES, SEED = 20, 11
METRICS: dict[str, dict[str, Any]] = {
    "pointing-game": {"tolerance": 0},
    "energy-pointing-game": {},
    "insertion": {},
    "deletion": {},
}
METHODS = [name for name, method in tfcam.METHODS.items() if not method.needs]
SHORT = {"pointing-game": "pointing", "energy-pointing-game": "energy"}


def of_objects(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return scenes, each once for each of its two objects, with the classes and the masks of these."""
    images, labels, masks = make_scenes(count, objects=2, seed=SEED)
    return np.repeat(images, 2, axis=0).astype("float32"), labels.ravel(), masks.reshape(-1, *masks.shape[2:])


def means_of(model: Any, method: str, given: tuple[np.ndarray, np.ndarray, np.ndarray]) -> list[str]:
    """Return the mean of each metric, of a method's maps of a model."""
    images, labels, masks = given
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", tfcam.ExplanationWarning)
        found = tfcam.evaluate(model, images, labels, [method], metrics=METRICS, masks=masks, batch_size=20)
    [row] = found.records()
    return [f"{row[name]:.2f}" for name in METRICS]


def table(methods: list[str]) -> Iterator[str]:
    """Yield the lines of the table."""
    models = {"transformer": load_model("vit"), "convolutional": load_model()}
    heads = [f"{name}: {SHORT.get(metric, metric)}" for name in models for metric in METRICS]
    arrows = ["↑" if tfcam.METRICS[metric].higher_is_better else "↓" for _ in models for metric in METRICS]
    yield f"| method | {' | '.join(f'{head} {arrow}' for head, arrow in zip(heads, arrows, strict=True))} |"
    yield "| --- " * (1 + len(heads)) + "|"
    given = of_objects(SCENES)
    for method in methods:
        each = [means_of(model, method, given) for model in models.values()]
        yield f"| {method} | {' | '.join(value for means in each for value in means)} |"


if __name__ == "__main__":
    publish_named(table, METHODS, "transformers.md", "transformer.py", __doc__)
