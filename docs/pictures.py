"""The pictures of the site and the README: scenes with two objects, and what the embedded model looked at."""

from __future__ import annotations

import io
from functools import cache
from typing import Any

import tfcam
from tfcam.cli.quiet import import_tensorflow
from tfcam.demo import CLASSES, Scenes, load_model, make_scenes

import_tensorflow()

#: The last layer of the embedded model, and one with two more convolutions behind it.
LAYERS = ("relu5", "relu3")
DEPTHS = ("relu1", "relu2", "relu3", "relu4", "relu5")


def of_method(method: type[tfcam.Explainer], layer: str) -> bytes:
    """Return the maps of one method at one layer: two scenes, both objects."""
    return _drawn(_plotted(_scenes(2), method(_model(), conv_layer=layer)))


def compared(methods: dict[str, type[tfcam.Explainer]]) -> bytes:
    """Return the maps of all methods at the layer where they differ most."""
    scenes = _scenes(2)
    each = {name: method(_model(), conv_layer=LAYERS[1]) for name, method in methods.items()}
    maps = {name: explainer.explain_classes(scenes.images, scenes.labels) for name, explainer in each.items()}
    return _drawn(tfcam.plot(scenes.images, maps, _titles(scenes), _names(scenes), alpha=0.8))


def top() -> bytes:
    """Return the maps of the three likeliest classes on one scale."""
    scenes = _scenes(2)
    maps, classes = tfcam.GradCAM(_model()).explain_top(scenes.images, 3)
    names = [[CLASSES[one] for one in row] for row in classes]
    return _drawn(tfcam.plot(scenes.images, maps, panel_titles=names, shared_scale=True, alpha=0.8))


def depths() -> bytes:
    """Return the maps of each depth of the embedded model."""
    scenes = _scenes(2)
    layers = {name: tfcam.GradCAM(_model(), conv_layer=name) for name in DEPTHS}
    maps = {name: explainer.explain(scenes.images, scenes.labels[:, 0]) for name, explainer in layers.items()}
    titles = [names[0] for names in _names(scenes)]
    return _drawn(tfcam.plot(scenes.images, maps, titles, colorbar=False, alpha=0.8))


def banner() -> bytes:
    """Return the first picture of README and site: four scenes, and what speaks for each of their objects."""
    return _drawn(_plotted(_scenes(4), tfcam.GradCAM(_model()), columns=2), "jpeg")


def _plotted(scenes: Scenes, explainer: tfcam.Explainer, columns: int = 1) -> Any:
    maps = explainer.explain_classes(scenes.images, scenes.labels)
    options = {"columns": columns, "colorbar": False, "alpha": 0.8}
    return tfcam.plot(scenes.images, maps, _titles(scenes), _names(scenes), **options)


@cache
def _model() -> Any:
    return load_model()


@cache
def _scenes(count: int) -> Scenes:
    return make_scenes(count, objects=2, seed=7)


def _names(scenes: Scenes) -> list[list[str]]:
    return [[CLASSES[label] for label in labels] for labels in scenes.labels]


def _titles(scenes: Scenes) -> list[str]:
    return [" + ".join(names) for names in _names(scenes)]


def _drawn(figure: Any, format: str = "png") -> bytes:
    file = io.BytesIO()
    figure.savefig(file, dpi=160, format=format)
    return file.getvalue()
