"""The function compiled for each kind of call, the cache of these functions, and the warnings they raise."""

from __future__ import annotations

import inspect
import threading
import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from tfcam.backend.keras_compat import infer
from tfcam.backend.symbolic_call import specs_of
from tfcam.data.validation import batch_size_of
from tfcam.engine.instrumented_model import InstrumentedModel
from tfcam.engine.postprocessing import MapOptions
from tfcam.engine.progress import Report, watched
from tfcam.engine.run import Run
from tfcam.layers import EffectiveField
from tfcam.ops.batch_axis import require_rows, row_counts
from tfcam.ops.loops import Meter, in_turn


class ExplanationWarning(UserWarning):
    """An explanation that can be computed but should not be believed without a look at its cause."""


@dataclass(frozen=True)
class Explanation:
    """What one batch gave.

    Attributes
    ----------
    inputs, targets
        The batch, and what was explained of it, as the operator takes it.
    maps : tf.Tensor
        ``(N, *grid, 1)``, or ``(N, T, *grid, 1)`` for several targets.
    details : dict of tf.Tensor
        What the operator tells of the targets; for a classification the ``"classes"``, ``(N,)`` or ``(N, T)``, and the
        ``"class_scores"``, the model's own output for every class, ``(N, classes)``.
    findings : list of str
        What is worth a warning.
    """

    inputs: Any
    targets: Any
    maps: tf.Tensor
    details: dict[str, tf.Tensor]
    findings: list[str]


class Presentation(ABC):
    """What is computed of a run: one tensor or several by name."""

    #: The dtypes of these tensors, in their structure.
    signature: ClassVar[Any] = tf.float32

    @abstractmethod
    def compute(self, run: Run, options: MapOptions) -> Any:
        """Return tensors ``(N, ...)`` of a run, such as its heatmaps, in the structure of `signature`."""

    @abstractmethod
    def findings(self, run: Run) -> dict[str, tf.Tensor]:
        """Return what may be worth a warning in a run, and whether it is."""


class Computation:
    """What a method computes of an instrumented model, traced once for each kind of call, whatever the batch size.

    `outputs` are the TensorSpecs of the explained outputs, against which targets are read.
    """

    def __init__(self, method: Presentation, instrumented: InstrumentedModel, outputs: Any) -> None:
        self.method, self.instrumented, self.outputs = method, instrumented, outputs
        self._traced: dict[Any, Any] = {}
        self._warned: set[str] = set()
        #: The effective fields of the layers, once they are measured.
        self.fields: tuple[EffectiveField, ...] | None = None
        self._lock = threading.RLock()

    @property
    def trace_count(self) -> int:
        """How often the model has been traced to compute maps."""
        return len(self._traced)

    def explain(
        self, inputs: Any, specs: Any, values: Any, options: MapOptions, report: Report | None = None
    ) -> Explanation:
        """Explain a batch of these TensorSpecs; `values` are targets as the user gave them.

        `report` is told meanwhile how many of the images are done.
        """
        count, targets = batch_size_of(inputs), None
        if values is not None:
            targets = self._read_several(values, count) if options.several else self.read(values, count)
        compute, meter = self._function(specs, None if targets is None else specs_of(targets), options)
        flat = [*tf.nest.flatten(inputs), *([] if targets is None else tf.nest.flatten(targets))]
        try:
            results = watched(lambda: compute(*flat), meter, report and (lambda share: report(share * count)))
        except tf.errors.InvalidArgumentError:
            self._require_rows_of(inputs, count)
            raise
        require_rows(int(results["rows"]), count, self.instrumented.model.name)
        if report:
            report(count)
        given = tf.nest.flatten(results["maps"])[0].shape[0]
        if given != count:
            raise ValueError(
                f"conv_layer {self._layers()!r} gives {given} maps for {count} images: the model "
                "folds something else into the batch axis there; name a layer before that."
            )
        findings = [message for message, found in results["findings"].items() if found]
        self.warn(findings)
        return Explanation(inputs, results["targets"], results["maps"], results["details"], findings)

    def function(self, specs: Any, targets: Any, options: MapOptions) -> Any:
        """Return the compiled function for inputs and targets of these TensorSpecs; targets may be None."""
        return self._function(specs, targets, options)[0]

    def _function(self, specs: Any, targets: Any, options: MapOptions) -> tuple[Any, Meter]:
        structure = (specs,) if targets is None else (specs, targets)
        key = (repr(structure), options)
        with self._lock:
            if key not in self._traced:

                def compute(*flat: tf.Tensor) -> dict[str, Any]:
                    inputs, *targets = tf.nest.pack_sequence_as(structure, flat)
                    return self._compute(inputs, targets[0] if targets else None, options)

                meter, traced = Meter(), tf.function(compute, autograph=False)
                with meter.tracing():
                    self._traced[key] = traced.get_concrete_function(*tf.nest.flatten(structure)), meter
            return self._traced[key]

    def read(self, values: Any, count: int) -> Any:
        """Return the targets of so many images, checked, as the operator takes them."""
        targets = self.instrumented.operator.read_targets(values, count, self.outputs)
        return tf.nest.map_structure(tf.convert_to_tensor, targets)

    def _read_several(self, values: Any, count: int) -> Any:
        """Read each column of targets ``(T,)``, the same for all images, or ``(N, T)``; return them along axis 1."""
        values = np.broadcast_to(values, (count, np.shape(values)[-1]))
        columns = [self.read(column, count) for column in values.T]
        return tf.nest.map_structure(lambda *targets: tf.stack(targets, axis=1), *columns)

    def _compute(self, inputs: Any, targets: Any, options: MapOptions) -> dict[str, Any]:
        """Return the parts of an `Explanation`, as tensors of one trace."""
        operator = self.instrumented.operator
        run = Run(self.instrumented.aligned(options.alignment), inputs, None if options.several else targets)
        if options.top is not None:
            targets = operator.top_targets(run, options.top)
        if options.several:
            maps, findings = self._in_turn(run, targets, options)
        else:
            targets = run.targets
            maps, findings = self._heatmaps(run, options)
        return {
            "targets": targets,
            "maps": tf.nest.map_structure(lambda one: one[..., None], maps),
            "details": operator.details(run, targets),
            "rows": row_counts(run.outputs, run.scores, operator.explains_logits),
            "findings": findings | _not_finite(maps),
        }

    def _require_rows_of(self, inputs: Any, count: int) -> None:
        """Refuse a model whose outputs have other rows than its inputs: shapes that do not fit may come of it."""
        outputs = tf.nest.flatten(infer(self.instrumented.model, inputs))
        if len(outputs) == 1:
            require_rows(len(outputs[0]), count, self.instrumented.model.name)

    def _heatmaps(self, run: Run, options: MapOptions) -> tuple[Any, dict[str, tf.Tensor]]:
        return self.method.compute(run, options), self.method.findings(run)

    def _in_turn(self, run: Run, targets: Any, options: MapOptions) -> tuple[Any, dict[str, tf.Tensor]]:
        """Return the heatmaps ``(N, T, *grid)`` of targets ``(N, T, ...)``, from one forward pass."""
        dtypes = tf.nest.map_structure(lambda _: tf.bool, self.method.findings(run))
        maps, findings = in_turn(
            lambda target: self._heatmaps(run.explaining(target), options),
            tf.nest.map_structure(_swapped, targets),
            (self.method.signature, dtypes),
        )
        return tf.nest.map_structure(_swapped, maps), {
            message: tf.reduce_any(each) for message, each in findings.items()
        }

    def _layers(self) -> str:
        return ", ".join(call.address for call in self.instrumented.layers)

    def warn(self, findings: list[str]) -> None:
        """Warn, once, of what makes a map wrong or empty; at the line of the user's that asked for it."""
        for message in set(findings) - self._warned:
            self._warned.add(message)
            level, frame = 1, inspect.currentframe()
            while frame and frame.f_back and frame.f_globals.get("__name__", "").split(".")[0] == "tfcam":
                level, frame = level + 1, frame.f_back
            where = f"{type(self.method).__name__} at conv_layer {self._layers()!r} of {self.instrumented.model.name!r}"
            warnings.warn(f"{where}: {message}.", ExplanationWarning, stacklevel=level)


def _not_finite(maps: Any) -> dict[str, tf.Tensor]:
    """Return whether some maps hold what is no number; of several, by their names."""
    message = "some maps hold NaN or infinite values: the model's activations overflow"
    named = {f"{name}: {message}": one for name, one in maps.items()} if isinstance(maps, dict) else {message: maps}
    return {said: ~tf.reduce_all(tf.math.is_finite(one)) for said, one in named.items()}


def _swapped(tensor: tf.Tensor) -> tf.Tensor:
    """Return ``(N, T, ...)`` as ``(T, N, ...)``, and the reverse."""
    return tf.transpose(tensor, [1, 0, *range(2, tensor.shape.rank)])
