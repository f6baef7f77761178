"""The embedded detector: the classifier's convolutions, a pyramid on them, and one head for all of its levels."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfcam.demo.scenes import CLASSES, SIZE
from tfcam.demo.segmenter import convolution

#: The layers of the classifier that the levels are joined to, from the finest; the coarsest is made of the last one.
_LATERALS = ("relu3", "relu5")
_FILTERS = 64
#: How many pixels a cell of each level has along an axis, from the finest.
STRIDES = (4, 8, 16)


def build_detector(classifier: Any) -> Any:
    """Return the untrained single-shot detector on the convolutions of a trained classifier, which stay as they are.

    A pyramid (Lin et al., Feature pyramid networks for object detection, CVPR 2017) whose cells each predict one box,
    by the distances of its sides (Tian et al., FCOS, ICCV 2019). The levels are 24 x 24, 12 x 12 and 6 x 6; one head of
    three 3 x 3 convolutions tells the class at all of them, another the box. Its output is a dict of ``"boxes"``,
    ``(N, 756, 4)`` as left, top, right, bottom in pixels, and ``"classes"``, the probabilities ``(N, 756, 8)``.
    """
    import keras

    layers = keras.layers
    x = layers.MaxPooling2D(name="pool5")(classifier.get_layer("relu5").output)
    x = convolution(layers, x, 96, "6")
    levels = [top := layers.Conv2D(_FILTERS, 1, name="lateral6")(x)]
    for name in reversed(_LATERALS):
        level = name.removeprefix("relu")
        lateral = layers.Conv2D(_FILTERS, 1, name=f"lateral{level}")(classifier.get_layer(name).output)
        top = layers.Add(name=f"sum{level}")([lateral, layers.UpSampling2D(name=f"up{level}")(top)])
        levels.insert(0, top)
    levels = [convolution(layers, x, _FILTERS, f"_p{number}") for number, x in enumerate(levels, start=2)]
    # One cell in a hundred is an object's: so a detector had better begin (Lin et al., Focal loss, ICCV 2017).
    classes = _head(layers, levels, "class", len(CLASSES), keras.initializers.Constant(-np.log(99.0)))
    sides = [
        layers.Rescaling(stride, name=f"pixels_p{number}")(layers.Activation("softplus", name=f"sides_p{number}")(x))
        for number, (x, stride) in enumerate(zip(_head(layers, levels, "box", 4, "zeros"), STRIDES, strict=True), 2)
    ]
    sides, logits = (layers.Concatenate(axis=1, name=name)(x) for name, x in (("sides", sides), ("logits", classes)))
    outputs = {
        "boxes": layers.Rescaling([-1.0, -1.0, 1.0, 1.0], offset=np.tile(centres(), 2), name="boxes")(sides),
        "classes": layers.Activation("sigmoid", name="classes")(logits),
    }
    return keras.Model(classifier.inputs[0], outputs, name="tfcam_demo_detector")


def centres() -> np.ndarray:
    """Return the middle of each cell ``(756, 2)`` as x and y in pixels, of the finest level first, row by row."""
    places = [(np.arange(SIZE // stride, dtype=np.float32) + 0.5) * stride for stride in STRIDES]
    return np.concatenate([np.stack(np.meshgrid(place, place), axis=-1).reshape(-1, 2) for place in places])


def _head(layers: Any, levels: list[Any], name: str, units: int, bias: Any) -> list[Any]:
    """Return what the convolutions of one head say of the cells of each level, ``(N, cells, units)``."""
    shared = [layers.Conv2D(_FILTERS, 3, padding="same", activation="relu", name=f"{name}_conv{n}") for n in (1, 2)]
    shared.append(layers.Conv2D(units, 3, padding="same", bias_initializer=bias, name=f"{name}_logits"))
    rows = []
    for number, x in enumerate(levels, start=2):
        for layer in shared:
            x = layer(x)
        rows.append(layers.Reshape((-1, units), name=f"{name}_p{number}")(x))
    return rows
