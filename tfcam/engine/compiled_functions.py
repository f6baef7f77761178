"""Formulas compiled: functions of a run, each traced once for each kind of call, whatever the batch size."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

from tfcam.backend.keras_compat import infer
from tfcam.backend.open_graph import is_recording
from tfcam.backend.symbolic_call import specs_of
from tfcam.data.validation import batch_size_of
from tfcam.engine.instrumented_model import InstrumentedModel, Pass
from tfcam.engine.progress import Report, watched
from tfcam.engine.run import Run, run_of
from tfcam.layers import TracedModel
from tfcam.ops.batch_axis import require_rows, row_counts
from tfcam.ops.loops import Meter

logger = logging.getLogger("tfcam")

#: What is computed: from a run to a structure of tensors, and of None. Equal ones are compiled once.
Formula: TypeAlias = Callable[[Run], Any]


class CompiledFunctions:
    """What is computed of an instrumented model.

    Parameters
    ----------
    traced : TracedModel
    instrumented : InstrumentedModel
    outputs : structure of tf.TensorSpec
        The explained outputs as the operator gets them, against which targets are read.
    """

    def __init__(self, traced: TracedModel, instrumented: InstrumentedModel, outputs: Any) -> None:
        self._traced, self._instrumented, self._outputs = traced, instrumented, outputs
        self._functions: dict[Any, tuple[Any, Meter]] = {}
        self._lock, self._logged = threading.RLock(), False

    def __len__(self) -> int:
        return len(self._functions)

    def read(self, values: Any, count: int) -> Any:
        """Return the targets of so many images, checked, as the operator takes them; None stays."""
        if values is None:
            return None
        targets = self._instrumented.operator.read_targets(values, count, self._outputs)
        return tf.nest.map_structure(tf.convert_to_tensor, targets)

    def read_several(self, values: Any, count: int) -> Any:
        """Read each column of targets ``(T,)``, the same for all images, or ``(N, T)``; return them along axis 1."""
        values = np.broadcast_to(values, (count, np.shape(values)[-1]))
        columns = [self.read(column, count) for column in values.T]
        return tf.nest.map_structure(lambda *targets: tf.stack(targets, axis=1), *columns)

    def compute(
        self, formula: Formula, inputs: Any, specs: Any, targets: Any, several: bool, report: Report | None
    ) -> Any:
        """Return what a formula gives of the run of a batch of these TensorSpecs; as `ModelSession.compute`."""
        count, name = batch_size_of(inputs), self._instrumented.model.name
        function, meter = self.function(formula, specs, None if targets is None else specs_of(targets), several)
        try:
            results = watched(
                lambda: function(*_flat(inputs), *_flat(targets)),
                meter,
                report and (lambda share: report(share * count)),
            )
        except tf.errors.InvalidArgumentError:
            # Of a model whose outputs have other rows than its inputs, shapes that do not fit may come.
            outputs = tf.nest.flatten(infer(self._instrumented.model, inputs))
            if len(outputs) == 1:
                require_rows(len(outputs[0]), count, name)
            raise
        require_rows(int(results["rows"]), count, name)
        if report:
            report(count)
        return results["values"]

    def function(self, formula: Formula, specs: Any, targets: Any, several: bool = False) -> tuple[Any, Meter]:
        """Return the compiled function of inputs and targets of these TensorSpecs, flat, and how far it has come."""
        key = formula, repr((specs, targets)), several, is_recording()
        with self._lock:
            if key not in self._functions:
                meter = Meter()
                with meter.tracing():
                    self._functions[key] = self._compiled(formula, specs, targets, several), meter
            return self._functions[key]

    def _log(self, run: Run) -> None:
        """Say, once, that logits are explained where the model puts out something else."""
        outputs = zip(tf.nest.flatten(run.outputs), tf.nest.flatten(run.predictions), strict=True)
        if not self._logged and any(explained is not output for explained, output in outputs):
            self._logged, name = True, self._instrumented.model.name
            logger.info("Explaining the logits of model %r; output_layer=-1 explains its last layer.", name)

    def _compiled(self, formula: Formula, specs: Any, targets: Any, several: bool) -> Any:
        model = self._instrumented

        def values(passed: Pass, flat: Sequence[tf.Tensor]) -> dict[str, Any]:
            given = None if targets is None else tf.nest.pack_sequence_as(targets, flat)
            run = run_of(model, passed, None if several else given)
            self._log(run)
            rows = row_counts(run.outputs, run.scores, model.operator.explains_logits)
            return {"values": formula(run.explaining(given) if several else run), "rows": rows}

        with self._traced.lock:
            known = self._traced.run(specs)
            inputs, count = tf.nest.pack_sequence_as(specs, known.inputs), len(known.inputs)
            function: Any = None
            if known.opened and model.is_in(known) and not is_recording():
                function = known.opened.compiled(
                    lambda *flat: values(model.recorded(known, inputs), flat), _flat(targets)
                )
            if function is None:

                def anew(*flat: tf.Tensor) -> dict[str, Any]:
                    return values(model.run(tf.nest.pack_sequence_as(specs, flat[:count])), flat[count:])

                function = tf.function(anew, autograph=False).get_concrete_function(*_flat(specs), *_flat(targets))
            # The model's Python may have run, for a head or for other images.
            self._traced.look()
        return function


def _flat(structure: Any) -> list[Any]:
    return [] if structure is None else tf.nest.flatten(structure)
