"""A model with its operator and layers, traced again when the model has changed."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, ClassVar

import tensorflow as tf

from tfcam.backend.keras_compat import require_tensorflow, takes_any_batch
from tfcam.backend.processor import require_runnable
from tfcam.backend.snapshot import Snapshot
from tfcam.backend.symbolic_call import SymbolicScore, Untraceable
from tfcam.data.batching import batches
from tfcam.data.input_spec import InputSpec
from tfcam.data.loaders import is_read_in_batches
from tfcam.data.validation import batch_size_of, count_of, read_batch_size
from tfcam.engine.compiled_functions import Computation, Explanation, Presentation
from tfcam.engine.effective_field import effective_fields
from tfcam.engine.instrumented_model import InstrumentedModel
from tfcam.engine.model_proxy import SharedModel
from tfcam.engine.postprocessing import MapOptions
from tfcam.engine.progress import Report, after, bar
from tfcam.layers import Alignment, EffectiveField, LayerCall, Trace
from tfcam.layers.selection import find_conv_layers, find_output, last_of_branches
from tfcam.layers.trace import trace
from tfcam.operators import OperatorLike, find_operator
from tfcam.operators.classification import Classification
from tfcam.ops.batch_axis import require_rows


class ModelSession(Presentation):
    """What is computed of a model; `tfcam.Explainer` says what the arguments are."""

    #: Which layers are explained where none is named: a name of `tfcam.layers.selection.DEFAULTS`.
    default_layers: ClassVar[str] = "last"

    def __init__(
        self, model: Any, output_layer: Any, batch_size: int | None, operator: OperatorLike, conv_layer: Any
    ) -> None:
        require_tensorflow(model)
        self.model = model
        self.batch_size = read_batch_size(batch_size)
        self.operator = find_operator(operator)
        self._wanted_output, self._wanted_layer = output_layer, conv_layer
        self._lock = threading.RLock()
        self.reset()

    def reset(self) -> None:
        """Forget what is known of the model.

        New weights need no reset, and a layer that was replaced, or given other settings, is seen; a change that only
        a list of your own tells, or a function that your layers call, is not.
        """
        self._computation: Computation | None = None
        self._awaits_targets = False
        self._branches: list[str] = []
        self._input_spec = InputSpec(self.model)
        if self._input_spec.declared is not None:
            try:
                self._prepare(self._input_spec.declared)
            except Untraceable:
                if not self._input_spec.give_sizes():
                    raise

    def __getstate__(self) -> dict[str, Any]:
        """Return what the explainer was made with: copies, in this process or another, trace the model anew."""
        state = {name: value for name, value in vars(self).items() if name not in _TRACED}
        # A copied model has other layers, of the same paths.
        if self._computation is not None and self._wanted_layer is not None:
            state["_wanted_layer"] = self.conv_layer
        if self._computation is not None and self._computation.instrumented.output is not None:
            state["_wanted_output"] = self._computation.instrumented.output.address
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._lock = threading.RLock()
        self.reset()

    def explains_as(self, other: ModelSession) -> bool:
        """Whether what is explained of the model is the same."""
        same_operator = type(self.operator) is type(other.operator) and vars(self.operator) == vars(other.operator)
        return same_operator and self._wanted_output == other._wanted_output

    @property
    def conv_layer(self) -> str | list[str] | None:
        """Path of the explained layer, or paths; None before an unbuilt model has seen its first batch."""
        if self._computation is None:
            return None
        names = [call.address for call in self._computation.instrumented.layers]
        return names if isinstance(self._wanted_layer, (list, tuple)) or len(names) > 1 else names[0]

    @property
    def arguments(self) -> dict[str, Any]:
        """What it takes to make another computation of the same model, output, score and layers."""
        layer = self._wanted_layer if self._computation is None else self.conv_layer
        return {
            "model": self.model,
            "output_layer": self._wanted_output,
            "batch_size": self.batch_size,
            "operator": self.operator,
            "conv_layer": layer,
        }

    @property
    def called_layers(self) -> list[Any]:
        """The layers that the model calls, and those within them, in order."""
        self._prepared()
        return list({id(call.layer): call.layer for call in self._trace.calls}.values())

    @property
    def trace_count(self) -> int:
        """How often the model has been traced to compute maps."""
        return 0 if self._computation is None else self._computation.trace_count

    def __repr__(self) -> str:
        name, task = self.model.name, self.operator.name
        return f"{type(self).__name__}(model={name!r}, conv_layer={self.conv_layer!r}, operator={task!r})"

    def explanations(
        self, inputs: Any, targets: Any, options: MapOptions, progress: bool | Report = False
    ) -> Iterator[Explanation]:
        """Yield the `Explanation` of each batch; a function is told how many images are done, in place of a bar."""
        labels = not is_read_in_batches(inputs) or self.operator.labels_are_targets
        pairs = ((x, y if labels else None) for x, y in self._batches(inputs, targets))
        return self._each(pairs, options, progress, inputs)

    def _each(
        self, pairs: Iterable[tuple[Any, Any]], options: MapOptions, progress: bool | Report, inputs: Any
    ) -> Iterator[Explanation]:
        """Yield the `Explanation` of each batch and its targets, which are those of the inputs."""
        done = 0
        with bar(count_of(inputs)) if progress is True else nullcontext(progress or None) as report:
            for x, targets in pairs:
                options = self.settled(options, x)
                yield self._explain(x, targets, options, report and after(done, report))
                done += batch_size_of(x)

    def _explain(self, inputs: Any, targets: Any, options: MapOptions, report: Report | None) -> Explanation:
        computation = self._prepared()
        computation.warn(self._branches)
        with self._seeing_traces(computation):
            return computation.explain(inputs, self._input_spec.specs(inputs), targets, options, report)

    def settled(self, options: MapOptions, inputs: Any) -> MapOptions:
        """Return options with the fields that they may ask for, measured on the first images that are explained.

        Raises
        ------
        ValueError
            Where the cells of several layers are all placed by one offset and jump.
        """
        computation = self._prepared()
        alignment = options.alignment
        if alignment and alignment.fixed and len(computation.instrumented.layers) > 1:
            raise ValueError(
                "align=(offset, jump) places the cells of one layer, and several are explained: take 'arithmetic' or "
                "'effective', which place each by its own field."
            )
        measured = {field.layer for field in alignment.measured} if alignment else set()
        if measured and (others := {call.address for call in computation.instrumented.layers} - measured):
            raise ValueError(
                f"align= has the fields of {sorted(measured)}, and {sorted(others)} is explained: measure it, as "
                "explainer.effective_fields(images) does."
            )
        if not (alignment and alignment.is_to_be_measured):
            return options
        if computation.fields is None:
            first = tf.nest.map_structure(lambda one: one[:_MEASURED], inputs)
            computation.fields = tuple(self.measured([first], samples=8, seed=0))
            computation.warn([finding for field in computation.fields if (finding := field.finding())])
        return replace(options, alignment=Alignment(measured=computation.fields))

    def measured(self, batches: Iterable[Any], samples: int, seed: int) -> list[EffectiveField]:
        """Return the effective fields of the explained layers on batches of inputs."""
        try:
            return effective_fields(self._prepared().instrumented, batches, samples, seed)
        finally:
            self._snapshot = Snapshot(self.model)

    def traced(self, specs: Any, targets: Any, options: MapOptions) -> Any:
        """Return the compiled function for inputs and targets of these TensorSpecs; targets may be None."""
        computation = self._prepared()
        with self._seeing_traces(computation):
            return computation.function(specs, targets, options)

    @contextmanager
    def _seeing_traces(self, computation: Computation) -> Iterator[None]:
        """Look at the model again after a trace, which runs its Python, and that may count its calls."""
        traces = computation.trace_count
        yield
        if computation.trace_count > traces:
            self._snapshot = Snapshot(self.model)

    def _prepare(self, specs: Any, targets: Any = None) -> None:
        """Find the layers, once the TensorSpecs of the inputs are known.

        Of a model of several outputs the default layer is the last one that the operator's score depends on; where that
        needs targets, they are those of a batch.
        """
        self._trace = traced = trace(self.model, specs, self._score_of(targets))
        several = len(tf.nest.flatten(traced.outputs)) > 1 and self._wanted_output is None
        self._awaits_targets = several and self._wanted_layer is None and not traced.is_of_score and targets is None
        if traced.is_channels_first:
            require_runnable(self.model, specs)
        output = find_output(self._wanted_output, self.model, traced)
        outputs = traced.outputs if output is None else tf.TensorSpec(output.shape)
        layouts = traced.output_layouts if output is None else output.layout
        self.operator.check_outputs(outputs, self.model.name)
        if self.operator.explains_logits and takes_any_batch(self.model):
            [shape, *others] = [one.shape for one in tf.nest.flatten(outputs)]
            # A bag of one image, and a bag that a batch size cuts up, would have one row by chance.
            if not others and shape.rank and shape[0] is not None:
                require_rows(shape[0], shape[0] + 1, self.model.name)
        layers = self.find_layers(traced, output)
        self._snapshot = Snapshot(self.model)
        instrumented = InstrumentedModel(self.model, layers, output, self.operator, layouts)
        self._computation = Computation(self, instrumented, instrumented.output_specs(outputs))
        self._branches = self._other_branches(traced, output)

    def _other_branches(self, traced: Trace, output: LayerCall | None) -> list[str]:
        """Return what to warn of where the default layer is that of one branch of several, as of an ensemble."""
        if self._wanted_layer is not None or self.default_layers != "last" or self.operator.explains_logits is False:
            return []
        branches = last_of_branches(traced, output)
        if len(branches) < 2:
            return []
        names = [call.address for call in branches]
        return [
            f"the model has {len(names)} branches that meet after their grids have ended, and the map is that of one: "
            f"name the branch that you mean, or all, conv_layer={names}"
        ]

    def _score_of(self, targets: Any) -> SymbolicScore | None:
        """Return the operator's score of a model of several outputs, whose default layer depends on it."""
        named = self._wanted_output is not None or self._wanted_layer is not None
        if named or isinstance(self.operator, Classification):
            # Classes are those of one output.
            return None

        def score(inputs: Any, outputs: Any) -> tf.Tensor | None:
            if len(tf.nest.flatten(outputs)) < 2:
                return None
            run = SimpleNamespace(inputs=inputs, predictions=outputs, outputs=outputs)
            run.model = SharedModel(self.model, inputs, outputs, self.model)
            try:
                run.targets = self.operator.default_targets(run) if targets is None else targets
                return self.operator.scores(run)
            except Exception:
                # Whatever it is, it is said again where the operator is run on images.
                return None

        return score

    def find_layers(self, traced: Trace, output: LayerCall | None) -> list[LayerCall]:
        """Return the calls of the explained layers."""
        return find_conv_layers(self._wanted_layer, traced, output, self.default_layers)

    def _prepared(self) -> Computation:
        if self._computation is None:
            raise ValueError(f"Model {self.model.name!r} is not built: explain a batch first, or build the model.")
        return self._computation

    def _batches(self, inputs: Any, targets: Any, most: int | None = None) -> Iterator[tuple[Any, Any]]:
        """Yield checked batches of at most so many images, building the model from the first where that is needed."""
        if not tf.executing_eagerly():
            raise TypeError(
                "tfcam runs eagerly, not inside a tf.function or a dataset's map: use explainer.map(dataset), which "
                "gives a dataset of heatmaps, or wrap the call in tf.py_function."
            )
        with self._lock:
            if self._computation is not None and not self._snapshot.shows(self.model):
                self.reset()
        # Without a batch size, a forward pass may take any number of images.
        most = most or self.batch_size or int(tf.int64.max)
        for x, y in batches(inputs, targets, self._input_spec, most):
            with self._lock:
                if self._computation is None or (self._awaits_targets and y is not None):
                    self._prepare(self._input_spec.specs(x), y)
            yield x, y


#: How many images the fields are measured on where an explanation asks for them.
_MEASURED = 16
#: What is known of the model, found anew by `ModelSession.reset`.
_TRACED = {"_lock", "_computation", "_input_spec", "_trace", "_snapshot", "_awaits_targets", "_branches"}
