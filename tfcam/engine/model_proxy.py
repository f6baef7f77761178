"""The model as an operator sees it while the model is run or traced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


class SharedModel:
    """The model as an operator sees it: called on the inputs at hand, it gives the outputs that are already there.

    Parameters
    ----------
    model : keras.Model
        Whose attributes it has.
    inputs, outputs : tensor or nest of tensors
        What is at hand.
    call : callable
        From other inputs, and options of the call, to outputs of the same kind.
    """

    def __init__(self, model: Any, inputs: Any, outputs: Any, call: Callable[..., Any]) -> None:
        self._model, self._inputs, self._outputs, self._call = model, inputs, outputs, call

    def __call__(self, inputs: Any, **options: Any) -> Any:
        """Return what the model puts out, of the same kind whatever it is called on."""
        training = options.get("training")
        if training is None or training is False:
            options.pop("training", None)
        given, known = tf.nest.flatten(inputs), tf.nest.flatten(self._inputs)
        if not options and len(given) == len(known) and all(a is b for a, b in zip(given, known, strict=True)):
            return self._outputs
        return self._call(inputs, **options)

    def call(self, inputs: Any, **options: Any) -> Any:
        """Return ``self(inputs, **options)``."""
        return self(inputs, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)
