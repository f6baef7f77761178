"""The value of an output."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfcam.operators.base import ForwardPass
from tfcam.operators.classification import Classification, read_numbers, unit_count, units_of


class Regression(Classification):
    """Value of the outputs, weighted by the targets, both ``(N, C)``: 1 explains why it is high, -1 why it is low.

    Of one output a target is 1 or -1; of several it may be an index too. The labels of a dataset are values, not
    targets: they are not read.
    """

    name = "regression"
    has_probability = False
    labels_are_targets = False

    def default_targets(self, run: ForwardPass) -> tf.Tensor:
        """Return ones."""
        return tf.ones_like(units_of(run.outputs))

    def read_targets(self, values: Any, count: int, outputs: Any) -> np.ndarray:
        """Return weights ``(N, C)``: of one output from directions, of several from indices."""
        values = read_numbers(values)
        if unit_count(outputs) > 1:
            return super().read_targets(values, count, outputs)
        if values.shape == (count, 1):
            return values.astype(np.float32)
        if values.ndim > 1 or not np.isin(values, (-1, 1)).all():
            raise ValueError(
                f"targets of one output are 1, why it is high, or -1, why it is low, got {values.reshape(-1)[:3]}; or "
                f"weights ({count}, 1)."
            )
        # As a classification reads them: the class of one unit that speaks for it, or against it.
        return super().read_targets((values + 1) // 2, count, outputs)
