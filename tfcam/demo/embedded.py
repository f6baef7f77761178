"""The embedded models."""

from __future__ import annotations

from importlib import resources
from typing import Any

import numpy as np

from tfcam.demo.detector import build_detector
from tfcam.demo.segmenter import build_segmenter, own_layers
from tfcam.demo.transformer import BUILDERS

_ON_THE_NETWORK = {"segmenter": build_segmenter, "detector": build_detector}
#: The names of the embedded models.
NAMES = ("cnn", *BUILDERS, *_ON_THE_NETWORK)


def load_model(name: str = "cnn", *, pooled: bool = False) -> Any:
    """Return an embedded model; it takes scenes ``(N, 96, 96, 3)`` in [0, 255] as they are.

    Parameters
    ----------
    name : {"cnn", "vit", "swin", "hybrid", "segmenter", "detector"}
        Of the classifiers the convolutional network; the vision transformer, whose class token is read; the one whose
        attention is within windows; or the one of convolutions and then attention. Of these two the mean of all tokens
        is read. A U-Net, with a probability of each class, and of the background after them, at each pixel. And a
        single-shot detector, with boxes ``(N, 756, 4)`` and the probabilities of their classes ``(N, 756, 8)``.
    pooled : bool
        Whether the convolutions of the network are under a head of a global average pooling and one Dense layer, where
        CAM is defined; otherwise, and more accurately, the head takes the maximum too.

    Raises
    ------
    ValueError
        Where there is no model of this name, or `pooled` is asked of another than the network.

    Examples
    --------
    >>> load_model("vit").output_shape
    (None, 8)
    """
    if name not in NAMES:
        raise ValueError(f"name must be one of {', '.join(map(repr, NAMES))}, got {name!r}.")
    if name != "cnn" and pooled:
        raise ValueError(f"pooled=True is a head of the network's: leave it off for {name!r}.")
    if name == "cnn":
        return _network(pooled)
    return _transformer(name) if name in BUILDERS else _on_the_network(name)


def _transformer(name: str) -> Any:
    model = BUILDERS[name]()
    model.set_weights(_weights(name))
    return model


def _on_the_network(name: str) -> Any:
    """Return a model that has the convolutions of the network, and weights of its own behind them."""
    classifier = _network(pooled=False)
    model = _ON_THE_NETWORK[name](classifier)
    weights = iter(_weights(name))
    for layer in own_layers(model, classifier):
        layer.set_weights([next(weights) for _ in layer.weights])
    return model


def _weights(name: str) -> list[np.ndarray]:
    """Return the weights that are shipped under this name, in the model's order."""
    with resources.as_file(resources.files(__package__) / f"{name}.npz") as path, np.load(path) as weights:
        return [np.asarray(weights[file], np.float32) for file in weights.files]


def _network(pooled: bool) -> Any:
    import keras

    with resources.as_file(resources.files(__package__) / "classifier.keras") as path:
        model = keras.models.load_model(path, compile=False)
    # The file is of the oldest Keras, so that every Keras reads it; those call its one input a list of inputs, and warn
    # where they get an array.
    if not pooled:
        return keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    dense = keras.layers.Dense(model.output_shape[-1], name="logits")
    logits = dense(model.get_layer("average").output)
    with resources.as_file(resources.files(__package__) / "pooled_head.npz") as path:
        weights = np.load(path)
        dense.set_weights([weights["kernel"], weights["bias"]])
    return keras.Model(model.inputs[0], keras.layers.Softmax(name="predictions")(logits), name=f"{model.name}_pooled")
