"""A score that the user computes with a callable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfcam.operators.base import ForwardPass, Operator


class Custom(Operator):
    """A callable of the user's, ``g(model, inputs, targets) -> (N,)``; the model puts out what it always does."""

    explains_logits = False

    def __init__(self, function: Callable[[Any, Any, Any], tf.Tensor]) -> None:
        self.function = function
        self.name = getattr(function, "__name__", repr(function))

    def scores(self, run: ForwardPass) -> tf.Tensor:
        """Return what the callable gives."""
        try:
            scores = tf.convert_to_tensor(self.function(run.model, run.inputs, run.targets))
        except Exception as error:
            if run.targets is None and "None" in str(error):
                raise ValueError(
                    "The operator failed and no targets were given; if it needs them, pass targets or a dataset of "
                    f"(x, y). It said: {type(error).__name__}: {error}"
                ) from error
            raise
        if scores.shape.rank != 1:
            raise ValueError(f"The operator must give one score per image, (N,); it gave the shape {scores.shape}.")
        return tf.cast(scores, tf.float32)

    def default_targets(self, run: ForwardPass) -> None:
        """Return None: the callable may not need any."""

    def read_targets(self, values: Any, count: int, outputs: Any) -> Any:
        """Return the targets as tensors."""
        return tf.nest.map_structure(tf.convert_to_tensor, values)

    def target_specs(self, labels: Any) -> Any:
        """Return the labels' own: the callable gets them as they are."""
        return labels
