"""How unsure the model is."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfcam.operators.base import ForwardPass, Operator
from tfcam.operators.class_sets import read_class_sets
from tfcam.operators.classification import class_scores, highest, log_probabilities, require_one_output, unit_count


class Doubt(Operator):
    r"""Why is the model unsure? The score is the higher, the less sure it is between some classes.

    .. math:: S = -\sum_c p_c \log p_c \quad \text{or} \quad S = z_2 - z_1

    the entropy of the probabilities of these classes, which sum to 1; or the margin, by how much the second highest
    logit is below the highest. Maps show what makes the model doubt; those of ``negative=True``, what makes it sure.

    Targets are the classes between which it doubts, two or more of each image: ``[[0, 3], [1, 2, 5]]``, or ``(N, C)``
    of 0 and 1. Without them, the entropy is that of all classes and the margin that of the two highest, which stay the
    same two on perturbed images. The labels of a dataset are not read.

    Parameters
    ----------
    measure : str
        ``"entropy"`` or ``"margin"``.

    Raises
    ------
    ValueError
        Where the measure is neither, or a single class is named.

    Examples
    --------
    >>> import tfcam
    >>> from tfcam.demo import load_model, make_scenes
    >>> images, labels, _ = make_scenes(2, objects=2)
    >>> tfcam.GradCAM(load_model(), operator=tfcam.Doubt("margin")).explain(images, labels).shape
    TensorShape([2, 96, 96, 1])
    """

    name = "doubt"
    labels_are_targets = False

    def __init__(self, measure: str = "entropy") -> None:
        if measure not in ("entropy", "margin"):
            raise ValueError(f"measure={measure!r} is neither 'entropy' nor 'margin'.")
        self.measure = measure

    def check_outputs(self, outputs: Any, model_name: str) -> None:
        """Refuse several outputs."""
        require_one_output(outputs, model_name)

    def scores(self, run: ForwardPass) -> tf.Tensor:
        """Return the entropy, or the negative margin."""
        if self.measure == "margin":
            first, second = tf.unstack(tf.math.top_k(_among(class_scores(run.outputs), run.targets), 2).values, axis=-1)
            return second - first
        logs = log_probabilities(run.outputs)
        logs = tf.where(run.targets > 0, logs - tf.reduce_logsumexp(_among(logs, run.targets), -1, keepdims=True), 0.0)
        return -tf.reduce_sum(run.targets * tf.exp(logs) * logs, axis=-1)

    def default_targets(self, run: ForwardPass) -> tf.Tensor:
        """Return all classes; for the margin the two highest."""
        scores = class_scores(run.outputs)
        if self.measure == "entropy":
            return tf.ones_like(scores)
        return tf.reduce_sum(tf.one_hot(highest(scores, 2), scores.shape[-1]), axis=-2)

    def read_targets(self, values: Any, count: int, outputs: Any) -> np.ndarray:
        """Return the classes between which it doubts as ``(N, classes)`` of 0 and 1."""
        sets = read_class_sets(values, count, max(unit_count(outputs), 2))
        if (alone := sets.sum(axis=1) < 2).any():
            raise ValueError(
                f"the targets of image {int(alone.argmax())} are no two classes between which the model could doubt: "
                "give a set for each image, [[0, 3], [1, 2]], or leave them off."
            )
        return sets


def _among(scores: tf.Tensor, members: tf.Tensor) -> tf.Tensor:
    """Return scores ``(N, classes)``, those of classes that are not in the set below all others."""
    return tf.where(members > 0, scores, scores.dtype.min)
