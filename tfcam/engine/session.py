"""A model with its operator and layers: what is computed of it is a function of a run, compiled once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

from tfcam.backend.keras_compat import require_tensorflow, takes_any_batch
from tfcam.backend.processor import require_runnable
from tfcam.backend.symbolic_call import Untraceable
from tfcam.data.batching import batches
from tfcam.data.input_spec import InputSpec
from tfcam.data.validation import is_read_in_batches, read_batch_size, require_rows
from tfcam.engine.effective_field import effective_fields
from tfcam.engine.instrumented_model import InstrumentedModel
from tfcam.engine.prepared_model import Formula, PreparedModel
from tfcam.engine.progress import Report
from tfcam.engine.run import run_of
from tfcam.layers import EffectiveField, LayerCall, Trace, TracedModel
from tfcam.layers.selection import find_conv_layers, find_output
from tfcam.layers.tokens import Tokens, unread_tokens, with_tokens
from tfcam.operators import OperatorLike, find_operator
from tfcam.operators.classification import Classification

#: Which layers are explained: from the trace of a model, and the call whose output is explained where it is named.
FindLayers: TypeAlias = Callable[[Trace, LayerCall | None], list[LayerCall]]


class ModelSession:
    """What is computed of a model; `tfcam.Explainer` says what the arguments are.

    Parameters
    ----------
    default : str
        Which layers are explained where none is named: a name of `tfcam.layers.selection.DEFAULTS`.
    find_layers : callable or None
        Which layers are explained, in place of `conv_layer` and `default`.
    tokens : (int, tuple of int) or None
        How the tokens lie on the input, where the model does not tell.
    """

    def __init__(
        self,
        model: Any,
        output_layer: Any = None,
        batch_size: int | None = 32,
        operator: OperatorLike = None,
        conv_layer: Any = None,
        default: str = "last",
        find_layers: FindLayers | None = None,
        tokens: Any = None,
    ) -> None:
        require_tensorflow(model)
        self.model = model
        self.batch_size = read_batch_size(batch_size)
        self.operator = find_operator(operator)
        self.default = self.operator.default_layers if default == "last" else default
        self._wanted_output, self._wanted_layer, self._find_layers = output_layer, conv_layer, find_layers
        self._tokens = Tokens.read(tokens)
        self._lock = threading.RLock()
        self.reset()

    def reset(self) -> None:
        """Forget what is known of the model; the functions that were compiled go with it."""
        self._known: PreparedModel | None = None
        self._prepared: dict[str, PreparedModel] = {}
        self._awaits_targets = False
        self.input_spec = InputSpec(self.model)
        if self.input_spec.declared is not None:
            try:
                self._prepare(self.input_spec.declared)
            except Untraceable:
                if not self.input_spec.give_sizes():
                    raise

    def forget(self) -> None:
        """Forget what is known of the model, for whoever asks for it next."""
        if self._known is not None:
            self._known.traced.forget()
        self.reset()

    def __getstate__(self) -> dict[str, Any]:
        """Return what the session was made with: copies, in this process or another, trace the model anew."""
        state = {name: value for name, value in vars(self).items() if name not in _FOUND}
        # A copied model has other layers, of the same paths.
        if self._known is not None and self._wanted_layer is not None:
            state["_wanted_layer"] = self.conv_layer
        if self._known is not None and self._known.instrumented.output is not None:
            state["_wanted_output"] = self._known.instrumented.output.address
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._lock = threading.RLock()
        self.reset()

    def explains_as(self, other: ModelSession) -> bool:
        """Whether what is explained of the model is the same."""
        mine, others = vars(self.operator), vars(other.operator)
        is_same = type(self.operator) is type(other.operator) and mine.keys() == others.keys()
        # An operator may hold arrays, such as a region or a reference.
        is_same = is_same and all(np.array_equal(value, others[name]) for name, value in mine.items())
        return is_same and self._wanted_output == other._wanted_output

    @property
    def known(self) -> PreparedModel:
        """The model, its layers known; an unbuilt model must have seen its first batch."""
        if self._known is None:
            raise ValueError(f"Model {self.model.name!r} is not built: explain a batch first, or build the model.")
        return self._known

    @property
    def is_prepared(self) -> bool:
        """Whether the layers are known, as they are once an unbuilt model has seen its first batch."""
        return self._known is not None

    @property
    def conv_layer(self) -> str | list[str] | None:
        """Path of the explained layer, or paths; None before they are known."""
        if self._known is None:
            return None
        names = self._known.addresses
        return names if isinstance(self._wanted_layer, (list, tuple)) or len(names) > 1 else names[0]

    @property
    def takes_last_layer(self) -> bool:
        """Whether no layer was named, and one is taken, the last."""
        return self._wanted_layer is None and self.default == "last"

    @property
    def takes_levels(self) -> bool:
        """Whether no layer was named, and the levels of a detector's pyramid are taken."""
        return self._wanted_layer is None and self.default == "levels" and self._find_layers is None

    @property
    def arguments(self) -> dict[str, Any]:
        """What it takes to make another session, or explainer, of the same model, output, score and layers."""
        return {
            "model": self.model,
            "output_layer": self._wanted_output,
            "batch_size": self.batch_size,
            "operator": self.operator,
            "conv_layer": self._wanted_layer if self._known is None else self.conv_layer,
            "tokens": self._tokens and (self._tokens.prefix, self._tokens.grid),
        }

    @property
    def called_layers(self) -> list[Any]:
        """The layers that the model calls, and those within them, in order."""
        return list({id(call.layer): call.layer for call in self.known.trace.calls}.values())

    @property
    def trace_count(self) -> int:
        """How many functions were compiled."""
        return sum(known.trace_count for known in self._prepared.values())

    def find_layers(self, traced: Trace, output: LayerCall | None) -> list[LayerCall]:
        """Return the calls of the explained layers."""
        traced = with_tokens(traced, self._tokens)
        if self._find_layers is not None:
            return self._find_layers(traced, output)
        return find_conv_layers(self._wanted_layer, traced, output, self.default)

    def _prepare(self, specs: Any, targets: Any = None) -> None:
        """Find the layers, once the TensorSpecs of the inputs are known.

        Of a model of several outputs the default layer is the last one that the operator's score depends on; where that
        needs targets, they are those of a batch.
        """
        known = TracedModel.of(self.model)
        traced = with_tokens(known.trace(specs), self._tokens)
        if traced.grids.is_channels_first:
            require_runnable(self.model, specs)
        output = find_output(self._wanted_output, self.model, traced)
        has_several = len(tf.nest.flatten(traced.outputs)) > 1 or self.default == "levels"
        if has_several and self._wanted_output is None and self._wanted_layer is None:
            ends = self._ends(known, specs, targets)
            self._awaits_targets = not ends and targets is None
            traced = traced.of(ends) if ends else traced
        outputs = traced.outputs if output is None else tf.TensorSpec(output.shape)
        layouts = traced.output_layouts if output is None else output.layout
        self.operator.check_outputs(outputs, self.model.name)
        if self.operator.explains_logits and takes_any_batch(self.model):
            [shape, *others] = [one.shape for one in tf.nest.flatten(outputs)]
            # A bag of one image, and a bag that a batch size cuts up, would have one row by chance.
            if not others and shape.rank and shape[0] is not None:
                require_rows(shape[0], shape[0] + 1, self.model.name)
        layers = self.find_layers(traced, output)
        names_output = output is not None and traced.is_one_of_several(output)
        instrumented = InstrumentedModel(
            self.model, layers, output, self.operator, layouts, names_output, self.takes_levels
        )
        unread = unread_tokens(traced, layers[0], output) if self.takes_last_layer else ""
        findings = [*(call.finding for call in layers), unread]
        self._known = PreparedModel(known, traced, instrumented, outputs, [one for one in findings if one])
        if self.input_spec.declared is None and traced.has_tokens:
            # How they lie depends on the sizes of the images.
            self.input_spec.give_sizes()
        self._prepared[repr(specs)] = self._known

    def _ends(self, known: TracedModel, specs: Any, targets: Any) -> list[tf.Tensor]:
        """Return what is explained of the outputs, in the graph of the trace; empty where that is not known."""
        if isinstance(self.operator, Classification):
            # Classes are those of one output.
            return []
        traced = known.run(specs)
        model = InstrumentedModel(self.model, [], None, self.operator, known.trace(specs).output_layouts)
        with known.lock, traced.graph.as_default():
            try:
                passed = model.recorded(traced, tf.nest.pack_sequence_as(specs, traced.inputs))
                return self.operator.ends(run_of(model, passed, targets))
            except Exception:
                # Whatever it is, it is said again where the operator is run on images.
                return []

    def batches(self, inputs: Any, targets: Any = None, most: int | None = None) -> Iterator[tuple[Any, Any]]:
        """Yield checked batches of at most so many images, building the model from the first where that is needed."""
        if not tf.executing_eagerly():
            raise TypeError(
                "tfcam runs eagerly, not inside a tf.function or a dataset's map: use explainer.map(dataset), which "
                "gives a dataset of heatmaps, or wrap the call in tf.py_function."
            )
        with self._lock:
            if self._known is not None and not self._known.traced.snapshot.shows(self.model):
                self.reset()
        # Without a batch size, a forward pass may take any number of images.
        most = most or self.batch_size or int(tf.int64.max)
        for x, y in batches(inputs, targets, self.input_spec, most):
            with self._lock:
                specs = self.input_spec.specs(x)
                self._known = self._prepared.get(repr(specs), None if self.input_spec.knows_sizes else self._known)
                if self._known is None or (self._awaits_targets and y is not None):
                    self._prepare(specs, y)
            yield x, y

    def pairs(self, inputs: Any, targets: Any) -> Iterator[tuple[Any, Any]]:
        """Yield `batches` with what is explained of them: the labels of a dataset where the operator takes labels."""
        labels = not is_read_in_batches(inputs) or self.operator.labels_are_targets
        return ((x, y if labels else None) for x, y in self.batches(inputs, targets))

    def compute(
        self, formula: Formula, inputs: Any, targets: Any = None, several: bool = False, report: Report | None = None
    ) -> Any:
        """Return what a formula gives of the run of a batch.

        Parameters
        ----------
        formula : callable
            From a `Run` to a structure of tensors.
        inputs
            A batch that `batches` gave.
        targets
            As `PreparedModel.read` gives them; None: the run has those that the operator gives by default.
        several : bool
            Whether they are those that `read_several` gives there, so that no score of the run is one for each image.
        report : callable or None
            Told meanwhile how many of the images are done.
        """
        specs = self.input_spec.specs(inputs)
        # Another thread may explain images of another size meanwhile.
        known = self._prepared.get(repr(specs), self.known)
        return known.compute(formula, inputs, specs, targets, several, report)

    def effective_fields(self, inputs: Iterable[Any], samples: int, seed: int) -> list[EffectiveField]:
        """Return the effective fields of the explained layers on batches of inputs."""
        known = self.known
        try:
            return effective_fields(known.instrumented, inputs, samples, seed)
        finally:
            known.traced.look()


#: What is found anew by `ModelSession.reset`.
_FOUND = {"_lock", "_known", "_prepared", "_awaits_targets", "input_spec"}
