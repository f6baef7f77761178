"""Whether maps sit where the objects are, stretched and aligned: the experiment of docs/alignment.md.

Run ``python benchmarks/alignment.py OUTPUT``. Scenes tell where their objects are. It trains four classifiers of them
that pad in different ways, keeps them in OUTPUT, a few minutes each, and measures them and the embedded one on scenes
that none of them has seen. ``--write`` puts the table into the page.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
from pages import publish

import tfcam
from tfcam.demo import CLASSES, load_model, make_scenes
from tfcam.demo.scenes import SIZE
from tfcam.demo.train import accuracy, train

SCENES, MEASURED_ON = 1000, 64
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


def rows(name: str, model: keras.Model) -> Iterator[str]:
    """Yield the rows of a model: maps of scenes that it classifies correctly, placed in each way."""
    scenes = make_scenes(SCENES, seed=30)
    images, labels, masks = scenes.images.astype("float32"), scenes.labels[:, 0], scenes.masks[:, 0]
    right = model.predict(images, verbose=0).argmax(axis=1) == labels
    images, labels, masks = images[right], labels[right], masks[right]
    explainer = tfcam.GradCAM(model)
    fields = explainer.effective_fields(make_scenes(MEASURED_ON, seed=31).images.astype("float32"))
    ways: dict[str, dict[str, Any]] = {
        "stretched": {},
        "aligned, arithmetic": {"resize": "aligned"},
        "aligned, effective": {"resize": "aligned", "align": fields},
    }
    for way, options in ways.items():
        maps = explainer.explain(images, labels, **options).numpy()[..., 0]
        offsets = centroids(maps) - centroids(masks)
        offsets = offsets[np.isfinite(offsets).all(axis=1)]
        distance = np.hypot(*offsets.mean(axis=0))
        places = [interval(metric(masks=masks).per_sample(maps), 3) for metric in METRICS.values()]
        down, right_of = (interval(column, 1) for column in offsets.T)
        yield f"| {name} | {way} | {down} | {right_of} | {distance:.1f} | {' | '.join(places)} |"


def table(folder: Path) -> Iterator[str]:
    """Yield the lines of the page."""
    models = {"embedded": load_model(), **{name: trained(name, folder) for name in BODIES}}
    yield "| classifier | accuracy | stride | centre, by arithmetic | stretched there | effective centre, down, right |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for name, model in models.items():
        info = next(info for info in tfcam.list_layers(model) if info.default)
        [field] = tfcam.GradCAM(model).effective_fields(make_scenes(MEASURED_ON, seed=31).images.astype("float32"))
        centres = " to ".join(f"{end:g}" for end in dict.fromkeys(info.centre[0]))
        effective = ", ".join(f"{one:.1f} ± {error:.1f}" for one, error in zip(field.centre, field.error, strict=True))
        stretched = (info.stride[0] - 1) / 2
        yield f"| {name} | {accuracy(model):.3f} | {info.stride[0]:g} | {centres} | {stretched:g} | {effective} |"
    yield ""
    yield f"| classifier | maps | too far down | too far right | offset | {' | '.join(METRICS)} |"
    yield "| --- " * (5 + len(METRICS)) + "|"
    for name, model in models.items():
        yield from rows(name, model)


def main() -> None:
    """Train what is missing, measure, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    publish(table(arguments.output), "alignment.md", "alignment", arguments.write)


if __name__ == "__main__":
    main()
