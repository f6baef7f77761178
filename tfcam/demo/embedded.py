"""The embedded classifier."""

from __future__ import annotations

from importlib import resources
from typing import Any

import numpy as np


def load_model(pooled: bool = False) -> Any:
    """Return the embedded classifier; it takes scenes ``(N, 96, 96, 3)`` in [0, 255] as they are.

    Parameters
    ----------
    pooled : bool
        Whether the same convolutions are under a head of a global average pooling and one Dense layer, where CAM is
        defined; otherwise, and more accurately, the head takes the maximum too.
    """
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
