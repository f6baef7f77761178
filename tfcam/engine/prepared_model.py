"""A model whose layers are known: formulas of its runs, each compiled once for each kind of call."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, TypeAlias

import tensorflow as tf

from tfcam.backend.keras_compat import infer
from tfcam.backend.open_graph import is_recording
from tfcam.backend.symbolic_call import specs_of
from tfcam.data.validation import batch_size_of, require_rows
from tfcam.engine.instrumented_model import InstrumentedModel, Pass
from tfcam.engine.progress import Report, watched
from tfcam.engine.run import Run, run_of
from tfcam.layers import EffectiveField, Trace, TracedModel
from tfcam.layers.default_layers import last_of_branches
from tfcam.ops.batch_axis import row_counts
from tfcam.ops.loops import Meter
from tfcam.ops.requirements import unmet

logger = logging.getLogger("tfcam")

#: What is computed: from a run to a structure of tensors, and of None. Equal ones are compiled once.
Formula: TypeAlias = Callable[[Run], Any]


class PreparedModel:
    """A model whose layers are known, and what is computed of it.

    Parameters
    ----------
    traced : TracedModel
    trace : Trace
        As it is for what is explained.
    instrumented : InstrumentedModel
    outputs : structure of tf.TensorSpec
        The explained outputs, against which targets are read.
    findings : list of str
        What is worth a warning of the layers, whatever is explained.

    Attributes
    ----------
    fields : tuple of EffectiveField or None
        Those of the layers, once they are measured.
    warned : set of str
        What was warned of.
    """

    def __init__(
        self, traced: TracedModel, trace: Trace, instrumented: InstrumentedModel, outputs: Any, findings: list[str]
    ) -> None:
        self.traced, self.trace, self.instrumented, self.findings = traced, trace, instrumented, findings
        self.fields: tuple[EffectiveField, ...] | None = None
        self.warned: set[str] = set()
        self._outputs = instrumented.output_specs(outputs)
        self._functions: dict[Any, tuple[Any, Meter]] = {}
        self._lock, self._logged = threading.RLock(), False

    @property
    def trace_count(self) -> int:
        """How many functions were compiled."""
        return len(self._functions)

    @property
    def addresses(self) -> list[str]:
        """The paths of the explained layers."""
        return [call.address for call in self.instrumented.layers]

    @cached_property
    def other_branches(self) -> list[str]:
        """The last layers of the branches that meet after their grids have ended, as those of an ensemble do.

        Empty where there is one branch, or the score is a function of the user's.
        """
        if not self.instrumented.operator.explains_logits:
            return []
        branches = last_of_branches(self.trace, self.instrumented.output)
        return [call.address for call in branches] if len(branches) > 1 else []

    def read(self, values: Any, count: int) -> Any:
        """Return the targets of so many images, checked, as the operator takes them; None stays."""
        if values is None:
            return None
        targets = self.instrumented.operator.read_targets(values, count, self._outputs)
        return tf.nest.map_structure(tf.convert_to_tensor, targets)

    def read_several(self, values: Any, count: int) -> Any:
        """Read the targets of several of each image, as ``(T,)``, the same for all, or ``(N, T)``: ``(N, T, ...)``."""
        columns = [self.read(column, count) for column in self.instrumented.operator.columns(values, count)]
        return tf.nest.map_structure(lambda *targets: tf.stack(targets, axis=1), *columns)

    def compute(
        self, formula: Formula, inputs: Any, specs: Any, targets: Any, several: bool, report: Report | None
    ) -> Any:
        """Return what a formula gives of the run of a batch of these TensorSpecs, as `ModelSession.compute` does."""
        count, name = batch_size_of(inputs), self.instrumented.model.name
        function, meter = self.function(formula, specs, targets, several)
        flat = [*_flat(inputs), *_flat(targets)]
        try:
            if meter.loops:
                results = watched(lambda: function(*flat), meter, report and (lambda share: report(share * count)))
            else:
                results = function(*flat)
        except tf.errors.InvalidArgumentError as error:
            if message := unmet(error):
                raise ValueError(message) from None
            # Of a model whose outputs have other rows than its inputs, shapes that do not fit may come.
            outputs = tf.nest.flatten(infer(self.instrumented.model, inputs))
            if len(outputs) == 1:
                require_rows(len(outputs[0]), count, name)
            raise
        require_rows(int(results["rows"]), count, name)
        if report:
            report(count)
        return results["values"]

    def function(self, formula: Formula, specs: Any, targets: Any = None, several: bool = False) -> tuple[Any, Meter]:
        """Return the compiled function of inputs of these TensorSpecs and such targets, flat, and how far it has come.

        It gives the ``"values"`` of the formula, and has such tensors as ``structured_outputs``.
        """
        alike = tuple((one.dtype, tuple(one.shape[1:])) for one in _flat(targets))
        key = formula, tuple(_flat(specs)), alike, several, is_recording()
        with self._lock:
            if key not in self._functions:
                meter, given = Meter(), None if targets is None else specs_of(targets)
                with meter.tracing():
                    self._functions[key] = self._compiled(formula, specs, given, several), meter
            return self._functions[key]

    def _log(self, run: Run) -> None:
        """Say, once, that logits are explained where the model puts out something else."""
        outputs = zip(tf.nest.flatten(run.outputs), tf.nest.flatten(run.predictions), strict=True)
        if not self._logged and any(explained is not output for explained, output in outputs):
            self._logged, name = True, self.instrumented.model.name
            logger.info("Explaining the logits of model %r; output_layer=-1 explains its last layer.", name)

    def _compiled(self, formula: Formula, specs: Any, targets: Any, several: bool) -> Any:
        model = self.instrumented

        def values(passed: Pass, flat: Sequence[tf.Tensor]) -> dict[str, Any]:
            given = None if targets is None else tf.nest.pack_sequence_as(targets, flat)
            run = run_of(model, passed, None if several else given)
            if given is not None and not several:
                run = run.explaining(given)
            self._log(run)
            rows = row_counts(run.outputs, run.scores, model.operator.explains_logits)
            # Each of several is completed in its turn.
            return {"values": formula(replace(run, targets=given) if several else run), "rows": rows}

        with self.traced.lock:
            known = self.traced.run(specs)
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
            self.traced.look()
        return function


def _flat(structure: Any) -> list[Any]:
    return [] if structure is None else tf.nest.flatten(structure)
