"""The score of a class."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfcam.graph.logits import is_probability
from tfcam.operators.base import ForwardPass, Operator


class Classification(Operator):
    """Score of a class: the outputs weighted by the targets, both ``(N, C)``.

    Outputs with a grid, ``(N, *grid, C)``, are averaged over it first; outputs ``(N,)`` are one unit. A single unit
    has the classes 1, the unit, and 0, its negation.
    """

    name = "classification"
    has_probability = True

    def scores(self, run: ForwardPass) -> tf.Tensor:
        """Return the weighted outputs."""
        return tf.reduce_sum(units_of(run.outputs) * run.targets, axis=-1)

    def check_outputs(self, outputs: Any, model_name: str) -> None:
        """Refuse several outputs."""
        require_one_output(outputs, model_name)

    def default_targets(self, run: ForwardPass) -> tf.Tensor:
        """Return the weights of the predicted class."""
        return weights_of(tf.argmax(class_scores(run.outputs), axis=-1), units_of(run.outputs).shape[-1])

    def top_targets(self, run: ForwardPass, k: int) -> tf.Tensor:
        """Return the weights ``(N, k, C)`` of the k highest classes."""
        return weights_of(highest(class_scores(run.outputs), k), units_of(run.outputs).shape[-1])

    def details(self, run: ForwardPass, targets: Any) -> dict[str, tf.Tensor]:
        """Return the classes explained, and the model's own output for every class, ``(N, classes)``."""
        return {"classes": classes_of(targets), "class_scores": class_scores(run.predictions)}

    def read_targets(self, values: Any, count: int, outputs: Any) -> np.ndarray:
        """Return class indices ``()`` or ``(N,)``, or weights ``(N, C)``, as weights ``(N, C)`` float32."""
        units = unit_count(outputs)
        labels = 2 if units == 1 else units
        values = read_numbers(values)
        if values.ndim == 2 and values.shape[1] == 1 and units > 1:
            values = values[:, 0]
        if values.ndim <= 1:
            indices = np.broadcast_to(read_classes(values, labels), (count,) if values.ndim == 0 else values.shape)
            if len(indices) != count:
                raise ValueError(f"{len(indices)} targets were given for {count} images; there must be one for each.")
            return np.asarray(weights_of(tf.constant(indices), units))
        if values.ndim != 2 or values.shape[0] != count or values.shape[1] not in {units, labels}:
            hint = ""
            if values.ndim > 2:
                hint = " A mask says where, and no class: give the class."
                if tf.nest.flatten(outputs)[0].shape.rank > 2:
                    hint += " operator='segmentation' takes both, {'class': classes, 'region': masks}."
            raise ValueError(
                f"targets have the shape {values.shape}; expected ({count},) class indices or ({count}, {units}) "
                f"weights.{hint}"
            )
        if units == 1 and values.shape[1] == 2:
            values = values[:, 1:] - values[:, :1]
        elif units == 1:
            # A weight of 0 would explain nothing, so a 0 is the label of class 0, whatever stands beside it.
            values = np.where(values == 0, -1, values)
        return values.astype(np.float32)


def require_one_output(outputs: Any, model_name: str) -> None:
    """Refuse several outputs, of which one is to be explained."""
    shapes = [tuple(output.shape) for output in tf.nest.flatten(outputs)]
    if len(shapes) > 1:
        raise ValueError(
            f"Model {model_name!r} has several outputs of shapes {shapes}; say which one is explained with "
            "output_layer=, or with an operator g(model, inputs, targets) that picks one."
        )


def highest(scores: tf.Tensor, k: int) -> tf.Tensor:
    """Return the classes ``(N, k)`` of the k highest scores, the highest first."""
    if not 1 <= k <= scores.shape[-1]:
        raise ValueError(f"k={k} is out of range: the explained output has {scores.shape[-1]} classes.")
    return tf.math.top_k(scores, k).indices


def unit_count(outputs: Any) -> int:
    """Return the number of units of the explained output, whose last axis they are."""
    shape = tf.nest.flatten(outputs)[0].shape
    return 1 if shape.rank == 1 else int(shape[-1])


def weights_of(classes: tf.Tensor, units: int) -> tf.Tensor:
    """Return the weights ``(..., units)`` of classes ``(...)``."""
    return tf.where(classes[..., None] > 0, 1.0, -1.0) if units == 1 else tf.one_hot(classes, units)


def classes_of(weights: tf.Tensor) -> tf.Tensor:
    """Return the classes ``(...)`` of most weight, of weights ``(..., units)``."""
    return tf.cast(weights[..., 0] > 0, tf.int64) if weights.shape[-1] == 1 else tf.argmax(weights, axis=-1)


def by_class(units: tf.Tensor, are_probabilities: bool) -> tf.Tensor:
    """Return what units ``(..., units)`` say of each class: a single one of its own, and of the other."""
    if units.shape[-1] != 1:
        return units
    return tf.concat([(1.0 if are_probabilities else 0.0) - units, units], axis=-1)


def read_classes(values: Any, labels: int) -> np.ndarray:
    """Return class indices of any shape as integers, checked against the number of classes."""
    values = read_numbers(values)
    if not np.all(values == np.round(values)):
        raise ValueError("targets (N,) must be class indices; weights of the outputs are a matrix (N, C).")
    wrong = values[(values < 0) | (values >= labels)]
    if wrong.size:
        raise ValueError(
            f"target {wrong[0]:.0f} is out of range: the explained output has the classes 0 to {labels - 1}."
        )
    return values.astype(np.int64)


def read_numbers(values: Any) -> np.ndarray:
    """Return targets as one array of finite numbers."""
    if isinstance(values, (tuple, dict)) and len({np.shape(part) for part in tf.nest.flatten(values)} - {()}):
        raise TypeError(
            f"targets must be one array, got a {type(values).__name__} of arrays; map the dataset to the labels that "
            "are explained, or give an operator g(model, inputs, targets) that reads all of them."
        )
    array = np.asarray(values.numpy() if hasattr(values, "numpy") else values)
    if array.dtype.kind in "US" or (array.dtype == object and all(isinstance(one, str) for one in array.flat)):
        raise TypeError(
            f"targets must be numbers, got the class name {str(array.flat[0])!r}: give indices, "
            "[class_names.index(name) for name in names]."
        )
    if array.dtype == object and all(isinstance(one, (list, tuple, set, frozenset)) for one in array.flat):
        raise TypeError(
            "targets are sets of classes: give operator='multi-label', which explains those of each image together, or "
            "explain_classes, which explains each by itself."
        )
    if array.dtype.kind not in "iuf" and array.dtype.name != "bfloat16":
        raise TypeError(f"targets must be numbers, class indices or weights, got dtype {array.dtype}.")
    if not np.all(np.isfinite(array)):
        raise ValueError("targets hold NaN or infinite values.")
    return array


def units_of(outputs: Any) -> tf.Tensor:
    """Return the outputs as float32 ``(N, C)``: averaged over their grid, one unit where they are ``(N,)``."""
    outputs = tf.cast(tf.nest.flatten(outputs)[0], tf.float32)
    if outputs.shape.rank == 1:
        return outputs[:, None]
    return tf.reduce_mean(outputs, axis=list(range(1, outputs.shape.rank - 1)))


def class_scores(outputs: Any) -> tf.Tensor:
    """Return a score for each class, ``(N, classes)``."""
    return by_class(units_of(outputs), is_probability(tf.nest.flatten(outputs)[0]))


def log_probability(run: ForwardPass) -> tf.Tensor:
    """Return the logarithm of the probability of the targets ``(N,)``; of one unit, that of its sigmoid."""
    units = units_of(run.outputs)
    if units.shape[-1] == 1:
        return tf.reduce_sum(tf.math.log_sigmoid(units * run.targets), axis=-1)
    return tf.reduce_sum(tf.nn.log_softmax(units) * run.targets, axis=-1)


def log_probabilities(outputs: Any) -> tf.Tensor:
    """Return the logarithms ``(N, classes)`` of the probabilities that outputs are, or that their softmax would be."""
    units, are_probabilities = units_of(outputs), is_probability(tf.nest.flatten(outputs)[0])
    if units.shape[-1] == 1:
        units = tf.concat([1.0 - units if are_probabilities else tf.zeros_like(units), units], axis=-1)
    # The logarithm of 0 has a gradient that is no number.
    return tf.math.log(tf.maximum(units, 1e-30)) if are_probabilities else tf.nn.log_softmax(units)
