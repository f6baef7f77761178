"""The pictures of the pages of tasks."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from pictures import as_file, names_of, scenes_of

import tfcam
from tfcam.demo import CLASSES, load_model, make_scenes

#: From the input to the output: down, the coarsest grid, and up.
DEPTHS = ("relu3", "relu5", "relu6", "relu_up5", "relu_up3", "relu_up1")


def generated() -> dict[str, str | bytes]:
    """Return the pictures by their path."""
    return {
        "pictures/segmentation_depths.png": depths(),
        "pictures/similarity.png": similar(),
        "pictures/doubt.png": doubt(),
        "pictures/detection.png": detections(),
    }


def depths() -> bytes:
    """Return the map of one object's region at each depth of the segmenter, by two methods."""
    scenes, model = scenes_of(1), load_model("segmenter")
    images, label, methods = scenes.images.astype("float32"), scenes.labels[0, 0], ("grad-cam", "seg-xres-cam")
    region = np.asarray(model(images)).argmax(axis=-1) == label
    maps = {
        layer: np.concatenate(
            [
                tfcam.get_method(one)(model, operator="segmentation", conv_layer=layer).explain(images, label)
                for one in methods
            ]
        )
        for layer in DEPTHS
    }
    titles = [f"{method}:\nwhy {CLASSES[label]}?" for method in methods]
    return as_file(
        tfcam.plot(
            np.repeat(scenes.images, 2, 0), maps, titles, regions=np.repeat(region, 2, 0), colorbar=False, alpha=0.8
        )
    )


def similar() -> bytes:
    """Return what makes three scenes like a first one, which has an object of each."""
    scenes, model = make_scenes(200, objects=2, seed=7), load_model()
    first = scenes.labels[0]
    others = [index for index in range(1, 200) if np.isin(scenes.labels[index], first).sum() == 1][:3]
    embedder = keras.Model(model.inputs, model.get_layer("pooled").output)
    alike = tfcam.Similarity(scenes.images[0].astype("float32"))
    maps = tfcam.GradCAM(embedder, operator=alike).explain(scenes.images[others].astype("float32"))
    return _beside(
        scenes.images[0], f"the reference:\n{_named(first)}", scenes.images[others], maps, scenes.labels[others]
    )


def doubt() -> bytes:
    """Return what raises and what lowers the entropy of two scenes."""
    scenes, model = scenes_of(2), load_model()
    ways: dict[str, Any] = {"unsure": {}, "sure": {"negative": True}}
    maps = {
        f"what makes it {name}": tfcam.GradCAM(model, operator="doubt", **options).explain(scenes.images)
        for name, options in ways.items()
    }
    titles = [" + ".join(names) for names in names_of(scenes)]
    return as_file(tfcam.plot(scenes.images, maps, titles, colorbar=False, alpha=0.8))


def _beside(reference: np.ndarray, title: str, images: np.ndarray, maps: Any, labels: np.ndarray) -> bytes:
    from tfcam.plotting.figures import Picture

    figure = Picture(figsize=(11, 2.0), layout="constrained")
    axes = figure.subplots(1, 1 + 2 * len(images))
    axes[0].imshow(reference)
    axes[0].set_title(title, fontsize=8)
    axes[0].axis("off")
    tfcam.plot(images, maps, [_named(one) for one in labels], ax=axes[1:], colorbar=False, alpha=0.8)
    return as_file(figure)


def _named(labels: Any) -> str:
    return " + ".join(CLASSES[label] for label in labels)


def detections() -> bytes:
    """Return the maps of three detections of one class, by three methods."""
    scenes, detector = make_scenes(1, objects=3, seed=7, alike=True), load_model("detector")
    images = scenes.images.astype("float32")
    _, found = tfcam.ODAM(detector).explain_detections(images, k=3, resize=False)
    methods = {"ODAM": "odam", "LayerCAM": "layer-cam", "Grad-CAM": "grad-cam"}
    rows = [
        tfcam.get_method(one)(detector, operator="detection").explain_detections(images, found)[0]
        for one in methods.values()
    ]
    said = [
        f"{CLASSES[one]} ({sure:.2f})" for one, sure in zip(found["classes"][0], found["confidence"][0], strict=True)
    ]
    return as_file(
        tfcam.plot(
            np.repeat(scenes.images, len(rows), 0),
            np.concatenate(rows),
            list(methods),
            said,
            boxes=np.repeat(found["boxes"], len(rows), 0),
            columns=1,
            colorbar=False,
            alpha=0.8,
        )
    )
