"""Whether maps sit where the objects are, stretched and aligned: the experiment of docs/alignment.md.

Run ``python benchmarks/alignment.py ASSETS OUTPUT``. Scenes tell where their objects are. It trains four classifiers of
them that pad in different ways, keeps them in OUTPUT, a few minutes each, and measures them and the embedded one on
scenes that none of them has seen. Of photographs nobody says where the object is; metrics ask the model of
``ASSETS/models`` instead what it makes of them without the pixels that maps name. What aligned maps cost is measured
beside stretched ones. ``--write`` puts the tables into the page; ``OUTPUT/photographs.png`` is to be looked at.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from evaluations import cells, heads
from pages import publish
from PIL import Image

import tfcam
from tfcam.demo import CLASSES, Scenes, load_model, make_scenes
from tfcam.demo.scenes import SIZE
from tfcam.demo.train import accuracy, train

SCENES, MEASURED_ON = 1000, 64
ASKED = ("deletion", "insertion", "average-drop", "mu-fidelity")
METRICS = {
    "pointing game": partial(tfcam.metrics.PointingGame, tolerance=0),
    "energy within": tfcam.metrics.EnergyPointingGame,
    "IoU": tfcam.metrics.IoU,
}
layers = keras.layers


def convolution(x: Any, filters: int, kernel: int = 3, strides: int = 1, padding: str | int = "same") -> Any:
    """Return a convolution that is padded as TensorFlow does, or by so many pixels on all sides."""
    if isinstance(padding, int):
        x, padding = layers.ZeroPadding2D(padding)(x), "valid"
    x = layers.Conv2D(filters, kernel, strides, padding=padding, use_bias=False)(x)
    return layers.ReLU()(layers.BatchNormalization(momentum=0.95)(x))


def one_sided(x: Any) -> Any:
    """Stride by 2 over even sizes, which TensorFlow pads at the bottom and on the right."""
    x = convolution(convolution(x, 16, 5, 2), 32)
    return convolution(convolution(convolution(convolution(x, 64, 3, 2), 64), 96, 3, 2), 96)


def symmetric(x: Any) -> Any:
    """Pad the same convolutions on all sides, as PyTorch does and models ported from it."""
    x = convolution(convolution(x, 16, 5, 2, 2), 32)
    return convolution(convolution(convolution(convolution(x, 64, 3, 2, 1), 64), 96, 3, 2, 1), 96)


def pooled(x: Any) -> Any:
    """Pool in the place of strides."""
    for filters in (16, 64, 96):
        x = layers.MaxPooling2D()(convolution(x, filters))
    return convolution(x, 96)


def residual(x: Any) -> Any:
    """Make a small ResNet: its shortcuts are convolutions of one pixel with strides."""
    x = layers.MaxPooling2D(3, 2)(layers.ZeroPadding2D(1)(convolution(x, 32, 7, 2, 3)))
    for filters, strides in ((64, 1), (96, 2)):
        branch = layers.Conv2D(filters, 3, padding="same")(convolution(x, filters, 3, strides, 1))
        shortcut = layers.Conv2D(filters, 1, strides)(x)
        x = layers.ReLU()(layers.Add()([layers.BatchNormalization(momentum=0.95)(branch), shortcut]))
    return x


BODIES: dict[str, Callable[[Any], Any]] = {
    "one-sided padding": one_sided,
    "symmetric padding": symmetric,
    "poolings": pooled,
    "like ResNet": residual,
}


def trained(name: str, folder: Path) -> keras.Model:
    """Return a classifier of scenes, trained where it is not in the folder."""
    path = folder / f"{name.replace(' ', '_')}.keras"
    if not path.exists():
        keras.utils.set_random_seed(0)
        image = keras.Input((SIZE, SIZE, 3))
        x = BODIES[name](layers.Rescaling(1 / 127.5, offset=-1.0)(image))
        heads = layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)
        logits = layers.Dense(len(CLASSES))(layers.Dropout(0.2)(layers.Concatenate()(heads)))
        model = keras.Model(image, layers.Softmax()(logits), name=path.stem)
        train(model)
        folder.mkdir(parents=True, exist_ok=True)
        keras.Model(model.inputs, model.outputs, name=path.stem).save(path)
    return keras.models.load_model(path, compile=False)


def centroids(maps: np.ndarray) -> np.ndarray:
    """Return the centroids ``(N, 2)`` of maps ``(N, H, W)``, rows first."""
    maps = np.maximum(maps, 0)
    places = np.indices(maps.shape[1:])
    return (maps[:, None] * places).sum(axis=(2, 3)) / maps.sum(axis=(1, 2))[:, None]


def interval(values: np.ndarray, digits: int) -> str:
    """Return a mean with its 95 % interval."""
    values = values[np.isfinite(values)]
    mean, half = values.mean(), 1.96 * values.std() / np.sqrt(len(values))
    return f"{mean:.{digits}f} ({mean - half:.{digits}f}, {mean + half:.{digits}f})"


def rows(name: str, model: keras.Model, scenes: Scenes, fields: Any) -> Iterator[str]:
    """Yield the rows of a model: maps of those scenes that it classifies correctly, placed in each way."""
    images, labels, masks = scenes.images.astype("float32"), scenes.labels[:, 0], scenes.masks[:, 0]
    right = model.predict(images, verbose=0).argmax(axis=1) == labels
    images, labels, masks = images[right], labels[right], masks[right]
    explainer = tfcam.GradCAM(model)
    for way, options in ways(fields).items():
        maps = explainer.explain(images, labels, **options).numpy()[..., 0]
        offsets = centroids(maps) - centroids(masks)
        offsets = offsets[np.isfinite(offsets).all(axis=1)]
        distance = np.hypot(*offsets.mean(axis=0))
        places = [interval(metric(masks=masks).per_sample(maps), 3) for metric in METRICS.values()]
        down, right_of = (interval(column, 1) for column in offsets.T)
        yield f"| {name} | {way} | {down} | {right_of} | {distance:.1f} | {' | '.join(places)} |"


def ways(fields: Any) -> dict[str, dict[str, Any]]:
    """Return what `explain` is asked for, by the name of it."""
    return {
        "stretched": {},
        "aligned, arithmetic": {"resize": "aligned"},
        "aligned, effective": {"resize": "aligned", "align": fields},
    }


def scenes_table(folder: Path) -> Iterator[str]:
    """Yield the lines of the page."""
    models = {"embedded": load_model(), **{name: trained(name, folder) for name in BODIES}}
    scenes, others = make_scenes(SCENES, seed=30), make_scenes(MEASURED_ON, seed=31).images.astype("float32")
    fields = {name: tfcam.GradCAM(model).effective_fields(others) for name, model in models.items()}
    yield "| classifier | accuracy | stride | centre, by arithmetic | stretched there | effective centre, down, right |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for name, model in models.items():
        info = next(info for info in tfcam.list_layers(model) if info.default)
        [field] = fields[name]
        centres = " to ".join(f"{end:g}" for end in dict.fromkeys(info.centre[0]))
        effective = ", ".join(f"{one:.1f} ± {error:.1f}" for one, error in zip(field.centre, field.error, strict=True))
        stretched = (info.stride[0] - 1) / 2
        yield f"| {name} | {accuracy(model):.3f} | {info.stride[0]:g} | {centres} | {stretched:g} | {effective} |"
    yield ""
    yield f"| classifier | maps | too far down | too far right | offset | {' | '.join(METRICS)} |"
    yield "| --- " * (5 + len(METRICS)) + "|"
    for name, model in models.items():
        yield from rows(name, model, scenes, fields[name])


def photographs(assets: Path) -> tuple[keras.Model, np.ndarray, np.ndarray]:
    """Return the ImageNet model, photographs as it takes them, and their classes."""
    model = keras.models.load_model(assets / "models/mobilenet_v2_imagenet.keras", compile=False)
    with (assets / "images/labels.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    opened = (Image.open(assets / "images" / row["file"]).convert("RGB").resize(model.input_shape[1:3]) for row in rows)
    images = np.stack([np.asarray(image, "float32") / 127.5 - 1 for image in opened])
    return model, images, np.array([int(row["class_index"]) for row in rows])


def photographs_table(assets: Path, picture: Path) -> Iterator[str]:
    """Yield what metrics say of the maps of photographs, and draw some of them."""
    model, images, labels = photographs(assets)
    explainer = tfcam.GradCAM(model)
    fields = explainer.effective_fields(images)
    shown = slice(0, len(images), len(images) // 8)
    maps = {name: explainer.explain(images[shown], labels[shown], **way) for name, way in ways(fields).items()}
    picture.parent.mkdir(parents=True, exist_ok=True)
    tfcam.plot((images[shown] + 1) / 2, maps).savefig(picture, dpi=80)
    yield f"| maps | {' | '.join(heads(ASKED))} |"
    yield "| --- " * (1 + len(ASKED)) + "|"
    for name, way in ways(fields).items():
        found = tfcam.evaluate(model, images, labels, [explainer], metrics=ASKED, **way)
        yield f"| {name} | {' | '.join(cells(found.records()[0], ASKED))} |"


def cost_table(assets: Path, rounds: int = 15) -> Iterator[str]:
    """Yield what maps take, as multiples of the model's own forward pass of the same images in the same run."""
    model, images, labels = photographs(assets)
    images, labels = images[:16], labels[:16]
    explainer = tfcam.GradCAM(model)
    passes: dict[str, Callable[[], Any]] = {"forward": partial(tf.function(model), tf.constant(images))}
    for name, way in ways(explainer.effective_fields(images)).items():
        passes[name] = partial(explainer.explain, images, labels, **way)
    seconds: dict[str, list[float]] = {name: [] for name in passes}
    for compute in passes.values():
        compute()
    for _ in range(rounds):
        for name, compute in passes.items():
            start = time.perf_counter()
            compute()
            seconds[name].append(time.perf_counter() - start)
    forward, *others = (np.median(taken) for taken in seconds.values())
    yield "| maps of 16 photographs | forward passes |"
    yield "| --- | --- |"
    for name, taken in zip(list(passes)[1:], others, strict=True):
        yield f"| {name} | {taken / forward:.2f} |"


def main() -> None:
    """Train what is missing, measure, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("assets", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--only", nargs="+", default=["scenes", "photographs", "cost"])
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    assets, output = arguments.assets, arguments.output
    tables = {
        "scenes": lambda: scenes_table(output),
        "photographs": lambda: photographs_table(assets, output / "photographs.png"),
        "cost": lambda: cost_table(assets),
    }
    for name in arguments.only:
        publish(tables[name](), "alignment.md", name, arguments.write)


if __name__ == "__main__":
    main()
