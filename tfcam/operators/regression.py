"""The value of an output."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfcam.operators.base import ForwardPass
from tfcam.operators.classification import Classification, read_numbers, unit_count, units_of


class Regression(Classification):
    """Value of the outputs, weighted by the targets, both ``(N, C)``: 1 explains why it is high, -1 why it is low.

    The labels of a dataset are values, not targets: they are not read.
    """

    name = "regression"
    has_probability = False
    labels_are_targets = False

    def default_targets(self, run: ForwardPass) -> tf.Tensor:
        """Return ones."""
        return tf.ones_like(units_of(run.outputs))

    def read_targets(self, values: Any, count: int, outputs: Any) -> np.ndarray:
        """Return weights ``(N, C)``; indices of units where there are several."""
        values = read_numbers(values)
        if unit_count(outputs) == 1 and values.ndim == 2 and values.shape == (count, 1):
            return values.astype(np.float32)
        return super().read_targets(values, count, outputs)
