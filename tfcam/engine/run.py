"""One run of an instrumented model: every method is a function of a run."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, TypeVar

import tensorflow as tf

from tfcam.engine.attentions import Attention, attentions_of, with_gradients
from tfcam.engine.instrumented_model import CallKey, InstrumentedModel, Pass
from tfcam.engine.model_proxy import SharedModel
from tfcam.engine.placement import Placement
from tfcam.graph.affine import is_affine, require_dependence, require_gradient
from tfcam.graph.axis_origins import AxisOrigins
from tfcam.graph.traversal import bypasses, gradients_of
from tfcam.graph.windows import gradient_in_window, heads_of
from tfcam.layers import Alignment, LayerCall
from tfcam.ops.batch_axis import is_batch, repeated_rows
from tfcam.ops.loss_scaling import scaled_gradients

T = TypeVar("T")
#: Scores ``(N,)`` of a run.
Score: TypeAlias = Callable[["Run"], tf.Tensor]


def run_of(
    instrumented: InstrumentedModel,
    passed: Pass,
    targets: Any = None,
    score: Score | None = None,
    alignment: Alignment | None = None,
) -> Run:
    """Return the run that a pass of the model is, of complete targets; None: those the operator gives by default."""
    images = tf.shape(tf.nest.flatten(passed.inputs)[0])[0]
    activations = [
        tf.cast(call.layout.to_grid(tensor, images), tf.float32)
        for call, tensor in zip(instrumented.layers, passed.tensors, strict=True)
    ]
    run = Run(
        instrumented,
        passed.inputs,
        targets,
        passed.predictions,
        tf.nest.map_structure(instrumented.explained, passed.predictions),
        activations,
        passed.tensors,
        passed.calls,
        score or instrumented.operator.scores,
        alignment,
    )
    return run if targets is not None else run.explaining(instrumented.operator.default_targets(run))


@dataclass(frozen=True, eq=False)
class Run:
    """One traced pass of one batch: what every method is a function of.

    Attributes
    ----------
    instrumented : InstrumentedModel
    inputs, targets
        The batch, and what is explained of it.
    predictions, outputs
        What the model put out, and what is explained of that: its logits, where it has some.
    activations, tensors : list of tf.Tensor
        ``(N, *grid, K)`` float32, one for each explained layer, and as the model's graph has them.
    calls : dict
        What each call of a layer put out.
    score : callable
        From a run to the scores ``(N,)`` that are explained.
    alignment : Alignment or None
        Where the cells of the layers lie on the input; None: evenly.
    """

    instrumented: InstrumentedModel
    inputs: Any
    targets: Any
    predictions: Any
    outputs: Any
    activations: list[tf.Tensor]
    tensors: list[tf.Tensor]
    calls: Mapping[CallKey, Any]
    score: Score
    alignment: Alignment | None = None
    _found: dict[Hashable, Any] = field(default_factory=dict, init=False)

    @property
    def layers(self) -> list[LayerCall]:
        """The explained layers."""
        return self.instrumented.layers

    @property
    def placement(self) -> Placement:
        """Where the cells of the layers lie."""
        inputs = tf.nest.flatten(self.inputs)
        return self.once("placement", lambda: Placement(self.layers, inputs, self.activations, self.alignment))

    @property
    def model(self) -> SharedModel:
        """The model as an operator sees it."""
        return SharedModel(self.instrumented.model, self.inputs, self.outputs, self._outputs_of)

    def _outputs_of(self, inputs: Any, **options: Any) -> Any:
        """Return what the model puts out for other inputs."""
        model = self.instrumented
        return tf.nest.map_structure(model.explained, model.call(inputs, lambda _layer, _path, _nth, y: y, **options))

    def once(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return what is computed of this very run, once, however often it is asked for under this key."""
        if key not in self._found:
            self._found[key] = compute()
        return self._found[key]

    def scores(self) -> tf.Tensor:
        """Return the explained scores ``(N,)``; computed once."""
        return self.once("scores", lambda: self.score(self))

    def is_affine(self, layer: int) -> bool:
        """Whether the scores are an affine function of the activations of a layer."""
        tensor, scores = self.tensors[layer], self.scores()
        require_dependence(scores, tensor, self.layers[layer].path, self.instrumented.model.name)
        return is_affine(scores, tensor)

    @property
    def is_half(self) -> bool:
        """Whether anything of the model is float16, so that gradients are taken of scaled scores."""
        return any(tensor.dtype == tf.float16 for tensor in tf.nest.flatten(list(self.calls.values())))

    def attentions(self, layer: int = 0) -> list[Attention]:
        """Return every attention behind a layer that leads to the scores, in the order in which they are computed."""
        return self.once(("attentions", layer), lambda: self._find_attentions(layer))

    def _find_attentions(self, layer: int) -> list[Attention]:
        ends, scores = tf.nest.flatten(self.outputs), self.scores()
        where = self.layers[layer], self.tensors[layer]
        given = tf.nest.flatten(self.inputs)[self.layers[layer].input_grid.index]
        found = attentions_of(ends, self.axis_origins, given, scores, where, self.instrumented.model.name)
        return with_gradients(found, scores, self.axis_origins, self.is_half)

    @property
    def axis_origins(self) -> AxisOrigins:
        """Where the axes of the tensors of its graph come from."""
        return self.placement.origins(tf.nest.flatten(self.outputs)[0].graph)

    def gradients(self) -> list[tf.Tensor]:
        """Return the gradient of the summed scores for each of the activations; taken once."""
        return self.once("gradients", self._take_gradients)

    def _take_gradients(self) -> list[tf.Tensor]:
        scores = self.scores()
        if not self.is_half:
            return self._backward(scores, None)
        return scaled_gradients(lambda scales: self._backward(scores, scales), self.activations, tf.shape(scores)[0])

    def _backward(self, scores: tf.Tensor, scales: tf.Tensor | None) -> list[tf.Tensor]:
        total = tf.reduce_sum(scores if scales is None else scores * scales)
        native = self._of_levels(total) if self.instrumented.are_levels else gradients_of(total, self.tensors)
        for call, tensor, gradient in zip(self.layers, self.tensors, native, strict=True):
            require_gradient(gradient, scores, tensor, call.path, self.instrumented.model.name)
        pairs, images = zip(self.layers, native, strict=True), tf.shape(self.activations[0])[0]
        return [tf.cast(call.layout.to_grid(gradient, images), tf.float32) for call, gradient in pairs]

    def _of_levels(self, total: tf.Tensor) -> list[tf.Tensor | None]:
        """Return the gradients for levels, each by itself: what a score owes one through another is that other's."""
        ends, inputs = tf.nest.flatten(self.predictions), tf.nest.flatten(self.inputs)
        heads = self.once("heads", lambda: heads_of(self.tensors, ends, inputs))
        if heads is None:
            return gradients_of(total, self.tensors, stop_gradients=self.tensors)
        return [gradient_in_window(total, head) for head in heads]

    def gradients_of_inputs(self, scores: tf.Tensor, tensors: list[tf.Tensor]) -> list[tf.Tensor | None]:
        """Return the gradient of the summed scores for tensors that they are computed from, and for the source."""
        grid = self.layers[0].input_grid
        given = tf.nest.flatten(self.inputs)[grid.index]
        *others, gradient = gradients_of(tf.reduce_sum(scores), [*tensors, given])
        return [*others, None if gradient is None else grid.layout.to_grid(gradient)]

    def source(self, layer: int = 0) -> tf.Tensor:
        """Return the input ``(N, *input_grid, C)`` that a layer has its grid from."""
        return self.placement.source(layer)

    def at(self, layers: Sequence[int], are_levels: bool = False) -> Run:
        """Return this very run, as if these of its layers were explained alone; the same for the same layers."""
        return self.once(
            (tuple(layers), are_levels),
            lambda: replace(
                self,
                instrumented=self.instrumented.at(layers, are_levels),
                tensors=[self.tensors[layer] for layer in layers],
                activations=[self.activations[layer] for layer in layers],
            ),
        )

    def explaining(self, targets: Any) -> Run:
        """Return this very run, with its scores and gradients those of other targets, which it completes."""
        return replace(self, targets=self.instrumented.operator.complete_targets(self, targets))

    def mirrored(self, images: tf.Tensor, is_mirrored: tf.Tensor) -> Run:
        """Run the model on other images as `rerun` does, which may be mirrored along the last axis of their grid."""
        again = self.rerun(images)
        return replace(again, targets=self.instrumented.operator.mirrored_targets(again, again.targets, is_mirrored))

    def scored(self, change: Callable[[Score], Score]) -> Run:
        """Return this very run with other scores, made from the function that gives those of now."""
        return replace(self, score=change(self.score))

    def negated(self) -> Run:
        """Return this very run, with what speaks against its scores speaking for them."""
        return self.scored(lambda score: lambda run: -score(run))

    def here(self) -> Run:
        """Return this run, or one on the same inputs in the graph that is being traced, such as a loop's."""
        is_here = tf.nest.flatten(self.predictions)[0].graph is tf.compat.v1.get_default_graph()
        return self if is_here else self.rerun(self.source())

    def rerun(self, images: tf.Tensor, layer: int = 0) -> Run:
        """Run the model on n times N other images, in `source`'s place: n for the first of the batch, and so on."""
        grid = self.layers[layer].input_grid
        flat = tf.nest.flatten(self._repeated(self.inputs, images))
        # A tensor of the graph that is being traced, from which all of the run can be told to come.
        flat[grid.index] = tf.identity(tf.cast(grid.layout.from_grid(images), flat[grid.index].dtype))
        return self._again(self.instrumented.run(tf.nest.pack_sequence_as(self.inputs, flat)), images)

    def head(self, activations: tf.Tensor, layer: int = 0) -> Run:
        """Run what comes after a layer on n times N activations ``(n * N, *grid, K)`` of our own choosing."""
        # What goes around the layer is taken from this run, not computed from the inputs again.
        calls = {call: one for call, one in self.calls.items() if is_batch(one)}
        ends = tf.nest.flatten(self.predictions)
        kept = {call: self._repeated(calls[call], activations) for call in bypasses(self.tensors[layer], calls, ends)}
        inputs, layout = self._repeated(self.inputs, activations), self.layers[layer].layout
        # What stands beside the grid, such as a class token, stays as it is.
        others = self._repeated(self.tensors[layer], activations) if layout.has_borders else None
        given = layout.from_grid(activations, others)
        return self._again(self.instrumented.run(inputs, {layer: given}, kept), activations)

    def _again(self, passed: Pass, like: tf.Tensor) -> Run:
        targets = self._repeated(self.targets, like)
        return run_of(self.instrumented, passed, targets, self.score, self.alignment)

    def _repeated(self, structure: Any, like: tf.Tensor) -> Any:
        count = tf.shape(tf.nest.flatten(self.inputs)[0])[0]
        times = tf.shape(like)[0] // tf.shape(self.activations[0])[0]
        # An operator of the user's may need no targets.
        return tf.nest.map_structure(lambda one: None if one is None else repeated_rows(one, count, times), structure)
