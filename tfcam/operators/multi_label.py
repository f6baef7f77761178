"""The score of several classes of an image together."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfcam.graph.logits import is_probability
from tfcam.operators.base import ForwardPass
from tfcam.operators.class_sets import read_class_sets
from tfcam.operators.classification import Classification, unit_count, units_of


class MultiLabel(Classification):
    r"""Score of the set of classes that an image shows, where it may show several.

    .. math:: S = \sum_{c \in C} z_c

    Targets are a set for each image, of any lengths: ``[[0, 3], [2], [1, 2, 5]]``, a ragged tensor, or the labels of a
    multi-label dataset, ``(N, C)`` of 0 and 1. Without targets they are the classes that the model predicts, those of a
    probability above 0.5, or the highest where there is none. ``explain_classes`` explains each class by itself.

    Examples
    --------
    >>> import keras, numpy as np, tfcam
    >>> model = keras.Sequential(
    ...     [keras.Input((16, 16, 3)), keras.layers.Conv2D(4, 3), keras.layers.GlobalMaxPooling2D(),
    ...      keras.layers.Dense(5, "sigmoid")]
    ... )
    >>> images = np.random.default_rng(0).uniform(0, 1, (2, 16, 16, 3))
    >>> tfcam.GradCAM(model, operator="multi-label").explain(images, [[0, 3], [2]]).shape
    TensorShape([2, 16, 16, 1])
    """

    name = "multi-label"
    has_probability = False

    def default_targets(self, run: ForwardPass) -> tf.Tensor:
        """Return the predicted classes."""
        units = units_of(run.outputs)
        threshold = 0.5 if is_probability(tf.nest.flatten(run.outputs)[0]) else 0.0
        predicted = tf.cast(units > threshold, tf.float32)
        highest = super().default_targets(run)
        return tf.where(tf.reduce_any(units > threshold, axis=-1, keepdims=True), predicted, highest)

    def read_targets(self, values: Any, count: int, outputs: Any) -> np.ndarray:
        """Return sets of classes as weights ``(N, C)`` float32; those of a single unit are as a classification's."""
        units = unit_count(outputs)
        return super().read_targets(values, count, outputs) if units == 1 else read_class_sets(values, count, units)
