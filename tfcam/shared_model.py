"""What an operator sees of a model that is being run."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


class SharedModel:
    """The model as an operator sees it: called on the images being explained, it gives what is already there."""

    def __init__(self, instrumented: Any, run: Any) -> None:
        self._instrumented, self._run = instrumented, run

    def __call__(self, inputs: Any, **options: Any) -> Any:
        """Return what the model puts out, of the same kind whatever it is called on."""
        training = options.get("training")
        if training is None or training is False:
            options.pop("training", None)
        given, known = tf.nest.flatten(inputs), tf.nest.flatten(self._run.inputs)
        if not options and len(given) == len(known) and all(a is b for a, b in zip(given, known, strict=True)):
            return self._run.outputs
        return tf.nest.map_structure(
            self._instrumented.explained, self._instrumented.call(inputs, lambda _layer, _path, _nth, y: y, **options)
        )

    def call(self, inputs: Any, **options: Any) -> Any:
        """Return ``self(inputs, **options)``."""
        return self(inputs, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._instrumented.model, name)


class SymbolicModel:
    """The model as an operator sees it while both are traced: called on the inputs at hand, it gives their outputs."""

    def __init__(self, model: Any, inputs: Any, outputs: Any) -> None:
        self._model, self._inputs, self._outputs = model, inputs, outputs

    def __call__(self, inputs: Any, **options: Any) -> Any:
        """Return what the model puts out."""
        given, known = tf.nest.flatten(inputs), tf.nest.flatten(self._inputs)
        if len(given) == len(known) and all(a is b for a, b in zip(given, known, strict=True)):
            return self._outputs
        return self._model(inputs, **options)

    def call(self, inputs: Any, **options: Any) -> Any:
        """Return ``self(inputs, **options)``."""
        return self(inputs, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)
