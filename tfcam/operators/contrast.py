"""The score of a class against the classes most similar to it."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfcam.operators.base import ForwardPass
from tfcam.operators.classification import Classification, unit_count, units_of


class Contrast(Classification):
    r"""What sets a class apart from those most like it (Zhang et al., Finer-CAM, CVPR 2025).

    .. math:: S = z_c - \gamma \frac{1}{T} \sum_d z_d

    over the T other classes whose scores are nearest to that of c. Any method explains it:
    ``GradCAM(model, operator="contrast")``.

    Parameters
    ----------
    strength : float
        Gamma; 0 is the classification.
    similar : int
        T; fewer where there are not so many classes.
    weighted : bool
        Whether each :math:`z_c - \gamma z_d` counts by the probability of d, through which gradients flow too, as in
        the authors' code (where gamma is 1), rather than all alike.
    """

    name = "contrast"

    def __init__(self, strength: float = 0.6, similar: int = 3, weighted: bool = False) -> None:
        if similar < 1:
            raise ValueError(f"similar={similar} classes leave nothing to contrast with: give at least 1.")
        self.strength, self.similar, self.weighted = strength, similar, weighted

    def check_outputs(self, outputs: Any, model_name: str) -> None:
        """Refuse several outputs, and outputs of a single unit."""
        super().check_outputs(outputs, model_name)
        if unit_count(outputs) == 1:
            raise ValueError(
                f"Model {model_name!r} puts out a single unit, which has no class beside it to contrast with: explain "
                "it without operator='contrast'."
            )

    def scores(self, run: ForwardPass) -> tf.Tensor:
        """Return the score of the target less that of the classes nearest to it."""
        units = units_of(run.outputs)
        score = tf.reduce_sum(units * run.targets, axis=-1, keepdims=True)
        count = min(self.similar, units.shape[-1] - 1)
        distance = tf.where(run.targets != 0.0, float("inf"), tf.abs(units - score))
        nearest = tf.math.top_k(-distance, count).indices
        contrasts = score - self.strength * tf.gather(units, nearest, batch_dims=1)
        if not self.weighted:
            return tf.reduce_mean(contrasts, axis=-1)
        shares = tf.gather(tf.nn.softmax(units), nearest, batch_dims=1)
        return tf.math.divide_no_nan(tf.reduce_sum(shares * contrasts, axis=-1), tf.reduce_sum(shares, axis=-1))
