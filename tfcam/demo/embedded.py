"""The embedded classifier."""

from __future__ import annotations

from importlib import resources
from typing import Any


def load_model() -> Any:
    """Return the embedded classifier; it takes scenes ``(N, 96, 96, 3)`` in [0, 255] as they are."""
    import keras

    with resources.as_file(resources.files(__package__) / "classifier.keras") as path:
        model = keras.models.load_model(path, compile=False)
    # The file is of the oldest Keras, so that every Keras reads it; those call its one input a list of inputs, and warn
    # where they get an array.
    return keras.Model(model.inputs[0], model.outputs[0], name=model.name)
