"""Scores of a Keras model or of any function, for images and for perturbed images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import tensorflow as tf

from tfcam.backend.keras_compat import is_keras
from tfcam.data.batching import batches
from tfcam.data.input_spec import InputSpec
from tfcam.data.validation import batch_size_of, require_rows
from tfcam.engine import ModelSession, Run
from tfcam.graph.logits import hides_probabilities
from tfcam.layers import InputGrid
from tfcam.metrics.base.ground_truth import GroundTruth
from tfcam.operators import OperatorLike, find_operator
from tfcam.operators.base import Operator
from tfcam.operators.classification import Classification, units_of
from tfcam.ops.batch_axis import row_counts
from tfcam.ops.layout import CHANNELS_LAST

#: What ``activation=`` may be.
ACTIVATIONS = ("auto", "softmax", "sigmoid", None)
#: What ``targets=`` is where each image's predicted class is measured.
PREDICTED = "predicted"


@dataclass(frozen=True)
class Batch:
    """Images whose scores are measured.

    Attributes
    ----------
    inputs, targets
        As the model and the operator take them.
    images : tf.Tensor
        ``(N, *grid, channels)`` float32: the input that maps are of.
    ground_truth : GroundTruth or None
        Where the objects are.
    """

    inputs: Any
    targets: Any
    images: tf.Tensor
    ground_truth: GroundTruth | None = None

    @property
    def count(self) -> int:
        """The number of images."""
        return batch_size_of(self.inputs)


class Scores(ABC):
    """Scores of the images of batches, and of other images in their place."""

    operator: Any
    input_grid: InputGrid

    @abstractmethod
    def scores(self, inputs: Any, targets: Any) -> tf.Tensor:
        """Return the scores ``(N,)`` float32 of inputs and targets as a `Batch` holds them."""

    @abstractmethod
    def read(self, inputs: Any, targets: Any, most: int | None) -> Iterator[tuple[Any, Any]]:
        """Yield checked inputs of at most so many images, and their targets as the user gave them."""

    @abstractmethod
    def read_targets(self, values: Any, inputs: Any) -> Any:
        """Return targets as the operator takes them; None: those it takes by default."""

    def batches(
        self, inputs: Any, targets: Any, most: int | None, ground_truth: GroundTruth | None = None
    ) -> Iterator[Batch]:
        """Yield batches of at most so many images, None: any number, with their objects where these are told."""
        done = 0
        predicted = isinstance(targets, str)
        if predicted and targets != PREDICTED:
            raise ValueError(f"targets={targets!r}: give labels, or {PREDICTED!r} for each image's predicted class.")
        for x, y in self.read(inputs, None if predicted else targets, most):
            if predicted or (targets is None and not self.operator.labels_are_targets):
                y = None
            elif y is None and isinstance(self.operator, Classification):
                raise ValueError(
                    "targets are missing: give the labels that the maps explain, a dataset of (x, y), or "
                    f"targets={PREDICTED!r} for each image's predicted class."
                )
            given = tf.nest.flatten(x)[self.input_grid.index]
            images = tf.cast(self.input_grid.layout.to_grid(given), tf.float32)
            done += (count := batch_size_of(x))
            own = None if ground_truth is None else ground_truth.part(done - count, done)
            yield Batch(x, self.read_targets(y, x), images, own)
        if ground_truth is not None:
            ground_truth.require_count(done)

    def inputs_at(self, batch: Batch, rows: tf.Tensor, images: tf.Tensor) -> tuple[Any, Any]:
        """Return inputs and targets of images in place of those of these rows of a batch."""
        grid, flat = self.input_grid, tf.nest.flatten(batch.inputs)
        images, dtype = grid.layout.from_grid(images), flat[grid.index].dtype
        perturbed = tf.cast(tf.round(images) if dtype.is_integer else images, dtype)
        inputs = [perturbed if index == grid.index else tf.gather(one, rows) for index, one in enumerate(flat)]
        targets = tf.nest.map_structure(lambda one: None if one is None else tf.gather(one, rows), batch.targets)
        return tf.nest.pack_sequence_as(batch.inputs, inputs), targets


class ModelScores(Scores):
    """The scores of a Keras model, compiled."""

    def __init__(self, model: Any, output_layer: Any, operator: OperatorLike, activation: str | None) -> None:
        self._activation = activation
        self._session = ModelSession(model, output_layer, None, operator, default="input")
        self.operator = self._session.operator

    @property
    def input_grid(self) -> InputGrid:  # type: ignore[override]
        """The input that maps are of."""
        return self._session.known.instrumented.layers[0].input_grid

    def read(self, inputs: Any, targets: Any, most: int | None) -> Iterator[tuple[Any, Any]]:
        """Yield batches of checked inputs; an unbuilt model is built from the first."""
        return self._session.batches(inputs, targets, most)

    def read_targets(self, values: Any, inputs: Any) -> Any:
        """Return checked targets."""
        read = self._session.known.read(values, batch_size_of(inputs))
        if read is not None and type(self.operator).complete_targets is Operator.complete_targets:
            return read
        targets = self._session.compute(self._measured, inputs, read)["targets"]
        self.operator.check_targets(targets)
        return targets

    def scores(self, inputs: Any, targets: Any) -> tf.Tensor:
        """Return the scores ``(N,)``."""
        return self._session.compute(self._measured, inputs, targets)["scores"]

    def _measured(self, run: Run) -> dict[str, Any]:
        is_probability = any(map(hides_probabilities, tf.nest.flatten(run.predictions)))
        return {"targets": run.targets, "scores": _measured(self.operator, run, self._activation, is_probability)}


class FunctionScores(Scores):
    """The scores of a function from a batch of images to outputs ``(N, C)``: called as it is, never traced."""

    input_grid = InputGrid(0, CHANNELS_LAST)

    def __init__(self, function: Callable[[Any], Any], operator: OperatorLike, activation: str | None) -> None:
        self.operator = find_operator(operator)
        self._activation = None if activation == "auto" else activation
        self._function = function
        self._input_spec = InputSpec(_Named(function))

    def read(self, inputs: Any, targets: Any, most: int | None) -> Iterator[tuple[Any, Any]]:
        """Yield batches of checked inputs; the function is tried on the first image."""
        for x, y in batches(inputs, targets, self._input_spec, most or int(tf.int64.max)):
            if self._input_spec.rank is None:
                self._input_spec.specs(x)
            flat = tf.nest.flatten(x)
            # Perturbed images hold fractions.
            flat[self.input_grid.index] = tf.cast(flat[self.input_grid.index], tf.float32)
            yield tf.nest.pack_sequence_as(x, flat), y

    def read_targets(self, values: Any, inputs: Any) -> Any:
        """Return checked targets."""
        run = self._run(inputs, None)
        if values is None:
            targets = self.operator.default_targets(run)
        else:
            specs = tf.nest.map_structure(lambda output: tf.TensorSpec([None, *output.shape[1:]]), run.outputs)
            self.operator.check_outputs(specs, self._input_spec.name)
            read = self.operator.read_targets(values, batch_size_of(inputs), specs)
            targets = tf.nest.map_structure(tf.convert_to_tensor, read)
        targets = self.operator.complete_targets(run, targets)
        self.operator.check_targets(targets)
        return targets

    def scores(self, inputs: Any, targets: Any) -> tf.Tensor:
        """Return the scores ``(N,)``."""
        run = self._run(inputs, targets)
        scores = _measured(self.operator, run, self._activation, False)
        rows = row_counts(run.outputs, lambda: scores, self.operator.explains_logits)
        require_rows(int(rows), batch_size_of(inputs), self._input_spec.name)
        return scores

    def _run(self, inputs: Any, targets: Any) -> Any:
        outputs = self._function(inputs)
        if isinstance(outputs, list) and not any(isinstance(part, tf.Tensor) for part in outputs):
            outputs = np.asarray(outputs)
        outputs = tf.nest.map_structure(tf.convert_to_tensor, outputs)
        return SimpleNamespace(
            inputs=inputs, targets=targets, predictions=outputs, outputs=outputs, model=self._function
        )


class _Named:
    """A function that has a name."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._function, self.name = function, getattr(function, "__name__", type(function).__name__)

    def __call__(self, inputs: Any) -> Any:
        return self._function(inputs)


def find_scores(model: Any, output_layer: Any, operator: OperatorLike, activation: str | None) -> Scores:
    """Return the scores of a Keras model or a function; scores that there are, as they are."""
    if isinstance(model, Scores):
        return model
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation={activation!r} is none of {ACTIVATIONS}.")
    if activation in ("softmax", "sigmoid") and type(find_operator(operator)) is not Classification:
        raise ValueError(
            f"activation={activation!r} is for classes, and operator={operator!r} gives scores of its own: leave it "
            "off, or apply it in the operator."
        )
    if is_keras(model):
        return ModelScores(model, output_layer, operator, activation)
    if not callable(model):
        raise TypeError(
            "model must be a Keras model, or a function from a batch of images to outputs (N, C), got "
            f"{type(model).__name__}."
        )
    if output_layer is not None:
        raise ValueError("output_layer= names a layer of a Keras model, and the model is a function: leave it off.")
    return FunctionScores(model, operator, activation)


def _measured(operator: Any, run: Any, activation: str | None, is_probability: bool) -> tf.Tensor:
    """Return the scores ``(N,)`` that are measured: of classes their probability where it is known, or as asked."""
    if type(operator) is not Classification:
        return operator.measured(run)
    [outputs] = tf.nest.flatten(run.predictions)
    if activation == "auto" and is_probability:
        activation = None
    elif activation == "auto":
        [outputs] = tf.nest.flatten(run.outputs)
        activation = "sigmoid" if units_of(outputs).shape[-1] == 1 else "softmax"
    elif activation is not None and is_probability:
        raise ValueError(
            f"The model puts out probabilities, and activation={activation!r} would be applied to them: leave it off."
        )
    if activation == "softmax" and units_of(outputs).shape[-1] == 1:
        raise ValueError("The softmax of a single unit is always 1: use activation='sigmoid'.")
    if activation is not None:
        outputs = {"softmax": tf.nn.softmax, "sigmoid": tf.nn.sigmoid}[activation](tf.cast(outputs, tf.float32))
        is_probability = True
    units = units_of(outputs)
    if units.shape[-1] == 1:
        other = 1.0 - units if is_probability else -units
        units = tf.where(run.targets > 0, units, other) * tf.sign(run.targets)
    return tf.reduce_sum(units * run.targets, axis=-1)


def require_finite(scores: np.ndarray, of: str) -> np.ndarray:
    """Return scores ``(N, ...)``, refusing those that are no numbers."""
    bad = np.flatnonzero(~np.isfinite(scores).reshape(len(scores), -1).all(axis=1))
    if bad.size:
        raise ValueError(
            f"The model gives NaN or infinite scores for {of}, first for image {bad[0]} of the batch: it overflows "
            "there; leave that image out, or look at its values."
        )
    return scores
