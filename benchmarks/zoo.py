"""Explain every model of ``keras.applications``, with random weights, at the size it was made for.

Run ``make zoo``, or ``python benchmarks/zoo.py NAME ...`` for some of them. Prints a table of their default layers and,
with ``--write``, puts it into docs/applications.md. Ends in an error where a map is not finite or constant.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from dataclasses import dataclass

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from pages import publish_named

import tfcam

APPLICATIONS = [
    name
    for name in dir(keras.applications)
    if name[0].isupper() and inspect.isfunction(getattr(keras.applications, name))
]


@dataclass
class Explained:
    """What tfcam makes of one model: the default layer, the expected one, and signed maps ``(classes, *grid)``.

    `centres` are between which pixels arithmetic has the middle of what its first cell sees, `field` what is measured.
    """

    parameters: int
    layers: int
    default: str
    expected: str
    maps: np.ndarray
    size: int
    stride: float
    centres: tuple[float, float]
    field: tfcam.EffectiveField | None

    @property
    def is_sound(self) -> bool:
        """Whether the map of every class is finite, of more than one cell, and not constant."""
        ranges = np.ptp(self.maps.reshape(len(self.maps), -1), axis=1)
        return bool(np.isfinite(self.maps).all() and (ranges > 1e-5 * np.abs(self.maps).max()).all())


def before_the_end(model: keras.Model) -> str:
    """Return the layer that a model's final pooling or flattening gets its input from, poolings left out."""
    ends = keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D, keras.layers.Flatten
    makers = {id(operation.output): operation for operation in model.operations}
    # MobileNetV3 flattens a grid of one cell after its final pooling.
    found = [layer for layer in model.layers if isinstance(layer, ends) and set(layer.input.shape[1:-1]) != {1}]
    layer = found[-1]
    while isinstance(layer, (*ends, keras.layers.MaxPooling2D, keras.layers.Dropout)):
        layer = makers[id(layer.input)]
    return layer.name


def calibrate(model: keras.Model, images: np.ndarray) -> None:
    """Set the moving statistics to those of a batch, so that activations do not die out in deep random networks."""
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
    model(images, training=True)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum


def explain(name: str, size: int | None = None, classes: int = 5, samples: int = 0) -> Explained:
    """Explain one model of ``keras.applications`` on noise of `size` pixels, or of the size it was made for."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    shape = None if size is None else (size, size, 3)
    model = getattr(keras.applications, name)(weights=None, input_shape=shape, classes=classes)
    # Some take images of any size; 224 pixels is what their weights were trained with.
    sizes = [size or 224 for size in model.input_shape[1:]]
    images = np.random.default_rng(0).uniform(-1, 1, (2, *sizes)).astype("float32")
    calibrate(model, images)
    # Grad-CAM keeps what speaks for the score: a class and its negation together give the whole map.
    explainer = tfcam.GradCAM(model, batch_size=2)
    # Sizes that are open are those of the images.
    layers = tfcam.list_layers(model, images if shape is None else None)
    weights = np.concatenate([np.eye(classes), -np.eye(classes)])
    maps = explainer.explain(np.repeat(images[:1], 2 * classes, axis=0), weights, resize=False).numpy()[..., 0]
    [default] = [layer for layer in layers if layer.default]
    return Explained(
        parameters=model.count_params(),
        layers=len(layers),
        default=explainer.conv_layer,
        expected=before_the_end(model),
        maps=maps[:classes] - maps[classes:],
        size=sizes[0],
        stride=default.stride[0],
        centres=default.centre[0],
        field=explainer.effective_fields(images, samples)[0] if samples else None,
    )


def table(names: list[str]) -> Iterator[str]:
    """Yield the lines of two tables: what is explained, and around which pixel its first cell looks."""
    yield "| model | million parameters | layers with a grid | default layer | its grid |"
    yield "| --- " * 5 + "|"
    looks = ["", "| model | stride | stretched | by arithmetic | in effect | spread |", "| --- " * 6 + "|"]
    for name in names:
        found = explain(name, samples=12)
        if found.default != found.expected:
            raise SystemExit(f"{name}: the default is {found.default}, and {found.expected} is what enters the end.")
        if not found.is_sound:
            raise SystemExit(f"{name}: the maps at {found.default} are not finite, of one cell, or constant.")
        grid = " x ".join(map(str, found.maps.shape[1:]))
        yield f"| {name} | {found.parameters / 1e6:.1f} | {found.layers} | `{found.default}` | {grid} |"
        low, high = found.centres
        places = [
            f"{found.stride:g}",
            f"{(found.size / found.maps.shape[1] - 1) / 2:.1f}",
            f"{low:g}" if low == high else f"{low:g} to {high:g}",
            f"{np.mean(found.field.centre):.1f} ± {np.mean(found.field.error):.1f}",
            f"{np.mean(found.field.spread):.0f}",
        ]
        looks.append(f"| {name} | {' | '.join(places)} |")
    yield from looks


if __name__ == "__main__":
    publish_named(table, APPLICATIONS, "applications.md", "zoo.py", __doc__)
