"""The pictures of the site and the README: scenes with two objects, and what the embedded model looked at."""

from __future__ import annotations

import io
from collections import defaultdict
from functools import cache
from typing import Any

import numpy as np

import tfcam
from tfcam.backend.weight_randomization import RandomizedWeights
from tfcam.cli.quiet import import_tensorflow
from tfcam.demo import CLASSES, Scenes, load_model, make_scenes
from tfcam.metrics.base import GroundTruth
from tfcam.ops.baselines import find_baseline
from tfcam.plotting.figures import Picture

import_tensorflow()

#: The last layer of the embedded model, and one with two more convolutions behind it.
LAYERS = ("relu5", "relu3")
DEPTHS = ("relu1", "relu2", "relu3", "relu4", "relu5")


def layers_of(method: type[tfcam.Explainer]) -> tuple[str | None, ...]:
    """Return the layers at which a method is shown: two, the last alone, or None, those it takes by itself."""
    if method.gives_one_map or method.default_layers != "last" or method.needs == "boxes":
        return (None,)
    return LAYERS[:1] if method.needs == "pooled head" else LAYERS


def of_methods(methods: list[type[tfcam.Explainer]]) -> dict[tuple[type[tfcam.Explainer], str | None], bytes]:
    """Return the picture of each method at each of its layers: two scenes, both objects."""
    return {of: as_file(_plotted(scenes_of(2), maps)) for of, maps in _maps(tuple(methods)).items()}


def compared(methods: dict[str, type[tfcam.Explainer]]) -> bytes:
    """Return the maps of all methods of one scene, where they take a layer at that where they differ most."""
    scenes, maps = scenes_of(1), _maps(tuple(methods.values()))
    # The first of those that its page shows.
    first = {name: maps[method, layers_of(method)[-1]][:1, 0] for name, method in methods.items()}
    return as_file(tfcam.plot(scenes.images, first, [names_of(scenes)[0][0]], alpha=0.8))


def smoothed() -> bytes:
    """Return the maps of one method as it is, and smoothed in each way."""
    ways = {"as it is": None, "augment": "augment", "noise": "noise", "eigen": "eigen"}
    return _by_each({name: tfcam.HiResCAM(_model(), conv_layer="relu3", smooth=way) for name, way in ways.items()})


def fused() -> bytes:
    """Return the maps of three layers in each way of making them one."""
    layers, fuses = ["relu1", "relu3", "relu5"], ("mean", "max", "product")
    each = {layer: tfcam.LayerCAM(_model(), conv_layer=layer) for layer in layers}
    return _by_each(each | {fuse: tfcam.LayerCAM(_model(), conv_layer=layers, fuse=fuse) for fuse in fuses})


def signs() -> bytes:
    """Return what speaks for one object of a scene, what against it, and how much matters at all."""
    ways = {"for": {}, "against": {"negative": True}, "either": {"absolute": True}}
    return _by_each({name: tfcam.GradCAM(_model(), **options) for name, options in ways.items()})


def concepts() -> bytes:
    """Return where the concepts of two scenes are."""
    scenes = scenes_of(2)
    found = tfcam.DeepFeatureFactorization(_model(), count=4).concepts(scenes.images)
    likeliest = found.contributions.numpy().argmax(axis=-1)
    titles = [[CLASSES[best] for best in row] for row in likeliest]
    return as_file(tfcam.plot(scenes.images, found.maps, _titles(scenes), titles, shared_scale=True, alpha=0.8))


def top() -> bytes:
    """Return the maps of the three likeliest classes on one scale."""
    scenes = scenes_of(2)
    maps, classes = tfcam.GradCAM(_model()).explain_top(scenes.images, 3)
    names = [[CLASSES[one] for one in row] for row in classes]
    return as_file(tfcam.plot(scenes.images, maps, panel_titles=names, shared_scale=True, alpha=0.8))


def depths() -> bytes:
    """Return the maps of each depth of the embedded model."""
    return _by_each({layer: tfcam.GradCAM(_model(), conv_layer=layer) for layer in DEPTHS})


def steps() -> bytes:
    """Return an image that loses its pixels, and one that gains them, in the order of a map."""
    scenes = scenes_of(4)
    image, label = scenes.images[1].astype("float32"), scenes.labels[1, 0]
    heatmap = tfcam.GradCAM(_model()).explain(image[None], label).numpy()[0, ..., 0]
    ranks = np.argsort(np.argsort(-heatmap, axis=None, kind="stable")).reshape(heatmap.shape)
    blurred = find_baseline("blur").of(image[None]).numpy()[0]
    figure = Picture(figsize=(9, 3.5), layout="constrained")
    ways = {"deleted": (image, 0.0 * image), "inserted": (blurred, image)}
    for (what, (before, after)), line in zip(ways.items(), figure.subplots(2, 6), strict=True):
        for share, axes in zip((0, 0.05, 0.1, 0.2, 0.4, 1), line, strict=True):
            shown = np.where((ranks < share * ranks.size)[..., None], after, before)
            score = _model()(shown[None], training=False)[0, label]
            axes.imshow(shown.astype("uint8"))
            axes.set_title(f"{share:.0%} {what}: {score:.0%}", fontsize=9)
            axes.axis("off")
    return as_file(figure)


def curves() -> bytes:
    """Return the curves of three methods, on average over scenes."""
    scenes = make_scenes(16, objects=2, seed=7)
    figure = Picture(figsize=(9, 3), layout="constrained")
    panels = {
        "deletion": ("Deletion", "pixels deleted"),
        "insertion": ("Insertion", "pixels inserted"),
        "road": ("ROAD, the most relevant first", "pixels filled in from others"),
    }
    for (name, (title, shares)), axes in zip(panels.items(), figure.subplots(1, 3), strict=True):
        options = {"percents": range(10, 100, 20), "order": "most"} if name == "road" else {"percent": 5}
        metric = tfcam.get_metric(name)(_model(), scenes.images, scenes.labels[:, 0], **options)
        for method in ("grad-cam", "hires-cam", "random-cam"):
            explainer = tfcam.get_method(method)(_model())
            curve = metric.curve(explainer.explain(scenes.images, scenes.labels[:, 0]))
            axes.plot(curve.shares, curve.scores.mean(axis=0), label=method)
        axes.set(xlabel=shares, title=title, ylim=(0, 1))
        axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    return as_file(figure)


def ranked() -> bytes:
    """Return what metrics say of some methods at two layers of the embedded model."""
    scenes = make_scenes(16, objects=2, seed=7)
    methods = ["grad-cam", "xgrad-cam", "hires-cam", "layer-cam", "eigen-cam", "random-cam"]
    metrics: dict[str, Any] = {"insertion": {"percent": 10}, "deletion": {"percent": 10}}
    metrics |= {"road": {"percents": [20, 50]}, "mu-fidelity": {"samples": 50}}
    found = tfcam.evaluate(_model(), scenes.images, scenes.labels[:, 0], methods, ["relu3", "relu5"], metrics)
    return as_file(found.plot())


def cascade() -> bytes:
    """Return what two methods make of a scene while the model forgets what it learned, layer by layer from the end."""
    scenes, model = scenes_of(4), _model()
    image, label = scenes.images[1:2].astype("float32"), scenes.labels[1:2, 0]
    explainers = {"Grad-CAM": tfcam.GradCAM(model), "Guided Grad-CAM": tfcam.GuidedGradCAM(model)}
    metric = tfcam.metrics.ModelRandomization(model, image, label, stages=None, similarity="ssim")
    figure = Picture(figsize=(10, 3.3), layout="constrained")
    for (name, explainer), line in zip(explainers.items(), figure.subplots(2, 8), strict=True):
        drawn = RandomizedWeights(model, explainer.session.called_layers, seed=0)
        maps = explainer.explain(image, label)
        alike = metric.similarities(maps, explainer)
        line[0].imshow(image[0].astype("uint8"))
        line[0].set_title(name, fontsize=9)
        stages = ["the model", "logits", "conv5", "conv4", "conv3", "conv2", "conv1"]
        for layer, axes in zip(stages, line[1:], strict=True):
            if layer in alike:
                first = next(index for index, one in enumerate(drawn.layers) if one.name == layer)
                with drawn.at(range(first, len(drawn.layers))):
                    maps = explainer.explain(image, label)
            shown = maps[0, ..., 0].numpy()
            axes.imshow(shown, cmap="inferno", vmin=0, vmax=np.quantile(shown, 0.995))
            axes.set_title(f"{layer}: {alike[layer][0]:.2f}" if layer in alike else layer, fontsize=9)
        for axes in line:
            axes.axis("off")
    return as_file(figure)


def localised() -> bytes:
    """Return maps of scenes with the object's mask and box, the map's highest place, and what is measured of that."""
    scenes, model = scenes_of(4), _model()
    maps = tfcam.HiResCAM(model).explain(scenes.images, scenes.labels[:, 0]).numpy()
    masks = scenes.masks[:, 0]
    measures = {"energy": "energy-pointing-game", "mass": "relevance-mass-accuracy", "rank": "relevance-rank-accuracy"}
    measures |= {"IoU": "iou"}
    told = {name: tfcam.get_metric(metric)(masks=masks).per_sample(maps) for name, metric in measures.items()}
    hits = tfcam.metrics.PointingGame(masks=masks, tolerance=4).per_sample(maps)
    figure = Picture(figsize=(10, 3.2), layout="constrained")
    for index, axes in enumerate(figure.subplots(1, 4)):
        axes.imshow(tfcam.blend(scenes.images[index], maps[index]))
        axes.contour(masks[index], [0.5], colors="white", linewidths=1.5)
        [box] = GroundTruth(masks[index][None]).boxes(masks.shape[1:])[0].tolist()
        left, top, right, bottom = box
        axes.plot([left, right, right, left, left], [top, top, bottom, bottom, top], "w--", linewidth=1)
        row, column = np.unravel_index(maps[index].argmax(), maps.shape[1:3])
        axes.plot(column, row, "o", color="lime" if hits[index] else "red", markeredgecolor="black")
        first, second = (
            "  ".join(f"{name} {told[name][index]:.2f}" for name in names)
            for names in (("energy", "mass"), ("rank", "IoU"))
        )
        axes.set_title(f"{first}\n{second}", fontsize=9)
        axes.set(xlim=(0, masks.shape[2] - 1), ylim=(masks.shape[1] - 1, 0))
        axes.axis("off")
    return as_file(figure)


def aligned() -> bytes:
    """Return maps of a model that pads on one side, stretched and aligned, with the outlines of the objects.

    And the mean of many maps, each moved so that its object's middle is in the middle.
    """
    scenes, explainer = make_scenes(300, objects=1, seed=30), tfcam.GradCAM(one_sided_model())
    labels, masks = scenes.labels[:, 0], scenes.masks[:, 0]
    middles = [np.argwhere(mask).mean(axis=0).round().astype(int) for mask in masks]
    inside = [i for i, middle in enumerate(middles) if np.abs(middle - 48).max() < 16]
    centres = [middles[i] for i in inside]
    ways: dict[str, dict[str, Any]] = {"stretched": {}, "aligned": {"resize": "aligned"}}
    figure = Picture(figsize=(11, 4.7), layout="constrained")
    for (name, options), line in zip(ways.items(), figure.subplots(2, 5), strict=True):
        maps = explainer.explain(scenes.images[inside], labels[inside], **options, normalize=True).numpy()[..., 0]
        for axes, place, index in zip(line, range(4), inside, strict=False):
            axes.imshow(tfcam.blend(scenes.images[index], maps[place]))
            axes.contour(masks[index], [0.5], colors="white", linewidths=1.5)
            axes.set_title(f"{CLASSES[labels[index]]}, {name}", fontsize=9)
        around = [
            one[row - 28 : row + 29, column - 28 : column + 29]
            for one, (row, column) in zip(maps, centres, strict=True)
        ]
        line[4].imshow(np.mean(around, axis=0), cmap="inferno")
        line[4].plot([28], [28], "+", color="white", markersize=18)
        line[4].set_title(f"mean of {len(inside)} around\nthe objects' middles, {name}", fontsize=9)
        for axes in line:
            axes.axis("off")
    return as_file(figure)


@cache
def one_sided_model() -> Any:
    """Return the embedded model with poolings padded on one side: its cells look 3.5 pixels further down and right."""
    import keras

    def pooled_otherwise(layer: Any) -> Any:
        config = layer.get_config()
        if isinstance(layer, keras.layers.MaxPooling2D):
            config |= {"pool_size": 3, "strides": 2, "padding": "same"}
        return type(layer).from_config(config)

    model = keras.models.clone_model(_model(), clone_function=pooled_otherwise)
    model.set_weights(_model().get_weights())
    return model


def banner() -> bytes:
    """Return the first picture of README and site: four scenes, and what speaks for each of their objects."""
    scenes = scenes_of(4)
    maps = tfcam.GradCAM(_model()).explain_classes(scenes.images, scenes.labels)
    return as_file(_plotted(scenes, maps, columns=2), "jpeg")


def _by_each(explainers: dict[str, tfcam.Explainer]) -> bytes:
    """Return what each explainer makes of the first objects of two scenes."""
    scenes = scenes_of(2)
    found = tfcam.compare(_model(), scenes.images, scenes.labels[:, 0], explainers.values())
    maps = dict(zip(explainers, found.values(), strict=True))
    return as_file(tfcam.plot(scenes.images, maps, [names[0] for names in names_of(scenes)], colorbar=False, alpha=0.8))


def _plotted(scenes: Scenes, maps: Any, columns: int = 1) -> Any:
    options = {"columns": columns, "colorbar": False, "alpha": 0.8}
    return tfcam.plot(scenes.images, maps, _titles(scenes), names_of(scenes), **options)


@cache
def _maps(methods: tuple[type[tfcam.Explainer], ...]) -> dict[tuple[type[tfcam.Explainer], str | None], Any]:
    """Return the maps of each method at each of its layers, from one run for each: two scenes, both objects."""
    together, maps = defaultdict(list), {}
    for method in methods:
        for layer in layers_of(method):
            together[method.needs, layer].append(method)
    scenes = scenes_of(2)
    images, labels = np.concatenate([scenes.images] * 2), scenes.labels.T.ravel()
    for (needs, layer), some in together.items():
        found = tfcam.compare(_model(needs), images, labels, some, conv_layer=layer)
        for method in some:
            maps[method, layer] = np.stack(np.split(found[method.name], 2), axis=1)
    return maps


@cache
def _model(needs: str = "") -> Any:
    name = {"attention": "vit", "boxes": "detector"}.get(needs, "cnn")
    return load_model(name, pooled=needs == "pooled head")


@cache
def scenes_of(count: int) -> Scenes:
    """Return the first scenes of those that all pictures show."""
    return make_scenes(count, objects=2, seed=7)


def names_of(scenes: Scenes) -> list[list[str]]:
    """Return the names of the objects of each scene."""
    return [[CLASSES[label] for label in labels] for labels in scenes.labels]


def _titles(scenes: Scenes) -> list[str]:
    return [" + ".join(names) for names in names_of(scenes)]


def as_file(figure: Any, format: str = "png") -> bytes:
    """Return a figure as the contents of a picture's file."""
    file = io.BytesIO()
    figure.savefig(file, dpi=160, format=format)
    return file.getvalue()
