"""How far methods keep the axioms of XGrad-CAM, and find what is there: the tables of docs/axioms.md.

Run ``python benchmarks/axioms.py ASSETS OUTPUT`` with a folder that holds ``models/mobilenet_v2_imagenet.keras``, and
labelled photographs, ``images/labels.csv``. Scenes with masks, and a classifier of them with a head like VGG-16's, are
made here. It runs ``tfcam evaluate`` for each table, which keeps what is measured in OUTPUT and goes on from there if
it was interrupted; a quarter of an hour. ``--write`` puts the tables into the page.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from evaluations import cells, evaluate, heads, names_of, of_imagenet
from pages import publish
from PIL import Image

import tfcam
from tfcam.demo import CLASSES, load_model, make_scenes

SCENES = 100
AXIOMS = ("sensitivity", "conservation")
COMPARED = ("grad-cam", "xgrad-cam", "hires-cam", "grad-cam-plus-plus", "layer-cam", "random-cam")
PLACES = (
    *("pointing-game:tolerance=4", "energy-pointing-game", "relevance-mass-accuracy", "relevance-rank-accuracy"),
    *("iou", "max-box-acc"),
)


@dataclass(frozen=True)
class Table:
    """A run of ``tfcam evaluate``: on photographs of ImageNet, or on scenes by the embedded model or that like VGG."""

    model: str
    methods: tuple[str, ...]
    layers: tuple[str, ...]
    metrics: tuple[str, ...]


def tables() -> dict[str, Table]:
    """Return the runs by name."""
    alike = (*AXIOMS, "average-drop")
    of_images = {name for name, kind in tfcam.METHODS.items() if kind.needs != "boxes"}
    return {
        "imagenet": Table("imagenet", COMPARED, ("out_relu", "Conv_1", "depthwise_13_relu"), alike),
        "vgg": Table("vgg", COMPARED, ("relu5", "relu4", "relu3"), alike),
        "scenes": Table("embedded", COMPARED, ("relu5", "relu4", "relu3"), AXIOMS),
        "places": Table("embedded", tuple(sorted(of_images - {"cam"})), (), PLACES),
        "middle": Table("embedded", ("grad-cam", "xgrad-cam", "hires-cam", "layer-cam"), ("relu3",), PLACES),
    }


def draw_scenes(folder: Path) -> None:
    """Write scenes of two objects, the masks of the first of them, and its classes."""
    if (folder / "labels.csv").exists():
        return
    scenes, lines = make_scenes(SCENES, objects=2, seed=20), ["file,class_index"]
    for place in ("images", "masks"):
        (folder / place).mkdir(parents=True, exist_ok=True)
    for index, (image, labels, masks) in enumerate(zip(*scenes, strict=True)):
        Image.fromarray(image).save(folder / f"images/{index:03}.png")
        Image.fromarray(masks[0]).save(folder / f"masks/{index:03}.png")
        lines.append(f"{index:03}.png,{labels[0]}")
    (folder / "labels.csv").write_text("\n".join(lines), encoding="utf-8")


def train_like_vgg(path: Path) -> None:
    """Train two Dense layers on the flattened features of the embedded classifier; VGG-16 has three."""
    if path.exists():
        return
    keras.utils.set_random_seed(0)
    body = load_model()
    features = keras.layers.Flatten()(keras.layers.MaxPooling2D(2)(body.get_layer("relu5").output))
    flat = keras.Model(body.inputs, features)
    parts = [make_scenes(count, objects, seed=1) for count, objects in ((4000, 1), (4000, 2))]
    seen = np.concatenate([flat.predict(part.images.astype("float32"), verbose=0) for part in parts])
    targets = np.concatenate([np.eye(len(CLASSES), dtype="float32")[part.labels].mean(axis=1) for part in parts])
    head = keras.Sequential(
        [
            keras.Input(seen.shape[1:]),
            keras.layers.Dense(128, activation="relu", name="hidden"),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(len(CLASSES), name="logits"),
            keras.layers.Softmax(),
        ]
    )
    head.compile("adam", "categorical_crossentropy")
    head.fit(seen, targets, batch_size=200, epochs=30, verbose=0)
    model = keras.Model(body.inputs, head(features), name="like_vgg")
    unseen = make_scenes(1000, seed=2)
    right = model.predict(unseen.images.astype("float32"), verbose=0).argmax(axis=1) == unseen.labels[:, 0]
    print(f"like_vgg: {right.mean():.3f} of new scenes with one object are classified correctly")
    path.parent.mkdir(parents=True, exist_ok=True)
    model.save(path)


def run(table: Table, assets: Path, output: Path, own: Path) -> list[dict[str, Any]]:
    """Run a table's command, and return the rows that it wrote."""
    scenes, asked = output / "scenes", (table.methods, table.layers, table.metrics)
    if table.model == "imagenet":
        return evaluate(assets / "images", assets / "images/labels.csv", own, *asked, *of_imagenet(assets))
    model = ["--model", output / "like_vgg.keras"] if table.model == "vgg" else []
    return evaluate(scenes / "images", scenes / "labels.csv", own, *asked, *model, "--masks", scenes / "masks")


def lines(rows: list[dict[str, Any]], metrics: tuple[str, ...], layers: tuple[str, ...]) -> Iterator[str]:
    """Yield a table of these metrics, the rows of each layer together; without layers, the best mean rank first."""
    names = names_of(metrics)
    yield f"| method |{' layer |' if layers else ''} {' | '.join(heads(names))} |"
    yield "| --- " * (len(names) + 1 + bool(layers)) + "|"
    ranks = {(row["method"], row["layer"]): sum(row[f"{name} rank"] for name in names) for row in rows}

    def place(row: dict[str, Any]) -> tuple[Any, ...]:
        where = layers.index(row["layer"]) if layers else 0
        return where, ranks[row["method"], row["layer"]]

    for row in sorted(rows, key=place):
        yield f"| {row['method']} |{' ' + row['layer'] + ' |' if layers else ''} {' | '.join(cells(row, names))} |"


def main() -> None:
    """Run what is not done, print the tables, and write them where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("assets", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--only", nargs="+", default=list(tables()), help="names of tables")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    draw_scenes(arguments.output / "scenes")
    train_like_vgg(arguments.output / "like_vgg.keras")
    for name in arguments.only:
        table = tables()[name]
        rows = run(table, arguments.assets, arguments.output, arguments.output / name)
        publish(lines(rows, table.metrics, table.layers), "axioms.md", name, arguments.write)


if __name__ == "__main__":
    main()
