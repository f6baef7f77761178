"""The score of a level, where classes have an order."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfcam.graph.logits import is_probability
from tfcam.operators.base import ForwardPass, Operator
from tfcam.operators.classification import read_classes, read_numbers, require_one_output, unit_count, units_of


class Ordinal(Operator):
    r"""How high a level is, where classes have an order: a grade, an age, a rating.

    .. math:: S = \sum_c c\, p_c \quad \text{or} \quad S = \log \frac{P(y \ge c)}{P(y < c)}

    the expected level, or the log-odds that it is at least c. Heads with a unit for each level are read by their
    softmax. Those with a unit for each step from one level to the next, as CORAL has them (Cao et al., Pattern
    Recognition Letters 2020), are cumulative: their sigmoids are :math:`P(y \ge c)` for c from 1.

    Targets of the expected level are 1, why it is high, or -1, why it is low; by default 1. Targets of ``"at least"``
    are levels from 1; by default the predicted one. The labels of a dataset are not read.

    Parameters
    ----------
    measure : str
        ``"level"``, the expected one, or ``"at least"``.
    cumulative : bool
        Whether the head has a unit for each step.

    Raises
    ------
    ValueError
        Where the measure is neither, or a target is no level, or level 0, which all are at least.

    Examples
    --------
    >>> import tfcam
    >>> from tfcam.demo import load_model, make_scenes
    >>> images, *_ = make_scenes(2)
    >>> tfcam.GradCAM(load_model(), operator=tfcam.Ordinal("at least")).explain(images, 3).shape
    TensorShape([2, 96, 96, 1])
    """

    name = "ordinal"
    labels_are_targets = False

    def __init__(self, measure: str = "level", cumulative: bool = False) -> None:
        if measure not in ("level", "at least"):
            raise ValueError(f"measure={measure!r} is neither 'level' nor 'at least'.")
        self.measure, self.cumulative = measure, cumulative

    def check_outputs(self, outputs: Any, model_name: str) -> None:
        """Refuse several outputs, and a single unit that is not cumulative."""
        require_one_output(outputs, model_name)
        if _level_count(outputs, self.cumulative) < 2:
            raise ValueError(
                f"Model {model_name!r} puts out a single unit, which is one level: explain its value, "
                "operator='regression', or the step that it is, tfcam.Ordinal(cumulative=True)."
            )

    def scores(self, run: ForwardPass) -> tf.Tensor:
        """Return the expected level, times its direction, or the log-odds."""
        if self.measure == "level":
            return self._level(run) * run.targets
        units, are_probabilities = _units(run)
        levels = tf.cast(run.targets, tf.int32)
        if self.cumulative:
            step = tf.gather(units, levels - 1, batch_dims=1)
            return tf.math.log(step / (1.0 - step)) if are_probabilities else step
        logs = tf.math.log(tf.maximum(units, 1e-30)) if are_probabilities else units
        high = tf.range(units.shape[-1]) >= levels[:, None]
        above, below = (tf.where(one, logs, logs.dtype.min) for one in (high, ~high))
        return tf.reduce_logsumexp(above, axis=-1) - tf.reduce_logsumexp(below, axis=-1)

    def _level(self, run: ForwardPass) -> tf.Tensor:
        units, are_probabilities = _units(run)
        if self.cumulative:
            return tf.reduce_sum(units if are_probabilities else tf.sigmoid(units), axis=-1)
        shares = units if are_probabilities else tf.nn.softmax(units)
        return tf.reduce_sum(shares * tf.range(units.shape[-1], dtype=tf.float32), axis=-1)

    def default_targets(self, run: ForwardPass) -> tf.Tensor:
        """Return 1; of log-odds the level that is predicted, the nearest to the expected one, and not 0."""
        level = self._level(run)
        return tf.ones_like(level) if self.measure == "level" else tf.maximum(tf.round(level), 1.0)

    def read_targets(self, values: Any, count: int, outputs: Any) -> np.ndarray:
        """Return directions, or levels, ``(N,)`` float32."""
        values = read_numbers(values)
        if values.shape not in ((), (count,), (count, 1)):
            raise ValueError(f"targets have the shape {values.shape}; expected one for all images, or ({count},).")
        values = np.broadcast_to(values.reshape(-1), (count,))
        if self.measure == "at least":
            levels = read_classes(values, _level_count(outputs, self.cumulative))
            if not levels.all():
                raise ValueError("target 0 is the lowest level, which all are at least: give levels from 1.")
        elif not np.isin(values, (-1, 1)).all():
            raise ValueError("targets of the expected level are 1, why it is high, or -1, why it is low.")
        return values.astype(np.float32)

    def details(self, run: ForwardPass, targets: Any) -> dict[str, tf.Tensor]:
        """Return the expected ``"levels"``, ``(N,)``."""
        return {"levels": self._level(run)}


def _units(run: ForwardPass) -> tuple[tf.Tensor, bool]:
    return units_of(run.outputs), is_probability(tf.nest.flatten(run.outputs)[0])


def _level_count(outputs: Any, cumulative: bool) -> int:
    return unit_count(outputs) + cumulative
