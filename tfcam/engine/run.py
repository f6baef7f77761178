"""One run of an instrumented model: every method is a function of a run."""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeAlias, TypeVar

import tensorflow as tf

from tfcam.backend.keras_compat import with_mask_of
from tfcam.engine.instrumented_model import InstrumentedModel
from tfcam.engine.model_proxy import SharedModel
from tfcam.graph.affine import is_affine, require_dependence, require_gradient
from tfcam.graph.logits import hides_probabilities
from tfcam.graph.receptive_field import GraphFields
from tfcam.graph.traversal import around, gradients_of, of_known_shape
from tfcam.layers import LayerCall
from tfcam.layers.alignment import Cells
from tfcam.ops.batch_axis import is_batch, repeated_rows
from tfcam.ops.loss_scaling import scaled_gradients
from tfcam.ops.resize import EvenMatrix, Kernel, cubic, resized

T = TypeVar("T")
#: Scores ``(N,)`` of a run.
Score: TypeAlias = Callable[["Run"], tf.Tensor]


class Run:
    """One traced pass of one batch: what every method is a function of.

    Attributes
    ----------
    inputs, targets
        The batch, and what is explained of it; for targets None, those that the operator gives by default.
    predictions, outputs
        What the model put out, and what is explained of that: its logits, where it has some.
    activations, tensors : list of tf.Tensor
        ``(N, *grid, K)`` float32, one for each explained layer, and as the model's graph has them.
    """

    def __init__(
        self,
        instrumented: InstrumentedModel,
        inputs: Any,
        targets: Any,
        replaced: dict[int, tf.Tensor] | None = None,
        score: Score | None = None,
        kept: dict[Any, tf.Tensor] | None = None,
    ) -> None:
        self._instrumented, self.inputs = instrumented, inputs
        self._score: Score = score or instrumented.operator.scores
        self._found: dict[Hashable, Any] = {}
        self._tape = tf.GradientTape(persistent=True, watch_accessed_variables=False)
        replaced, watched = replaced or {}, {}
        self._in_half_precision = False
        self._calls: dict[Any, Any] = {}

        def visitor(layer: Any, _path: str, nth: int, output: Any) -> Any:
            if kept and (id(layer), nth) in kept:
                output = with_mask_of(output, kept[id(layer), nth])
            for position, call in enumerate(instrumented.layers):
                if layer is call.layer and nth == call.nth:
                    given = tf.identity(output)
                    if position in replaced:
                        given = tf.cast(call.layout.from_grid(replaced[position]), output.dtype)
                    output = with_mask_of(output, given)
                    self._tape.watch(output)
                    watched[position] = output
            self._calls[id(layer), nth] = output
            self._in_half_precision |= any(tensor.dtype == tf.float16 for tensor in tf.nest.flatten(output))
            return output

        flat = tf.nest.flatten(inputs)
        with self._tape:
            for position, call in enumerate(instrumented.layers):
                if call.layer is None:
                    watched[position] = flat[call.input_grid.index] = tf.identity(flat[call.input_grid.index])
                    self._tape.watch(watched[position])
            self.predictions = instrumented.call(tf.nest.pack_sequence_as(inputs, flat), visitor)
            self.outputs = tf.nest.map_structure(instrumented.explained, self.predictions)
        if missing := [call.path for i, call in enumerate(instrumented.layers) if i not in watched]:
            raise ValueError(
                f"Model {instrumented.model.name!r} does not call {missing} each time it runs: make its layers in "
                "__init__, not in call(), and call them always; or name another conv_layer=."
            )
        self.tensors = [tensor for _, tensor in sorted(watched.items())]
        self.activations = [self._grid(i, tensor) for i, tensor in enumerate(self.tensors)]
        self.targets = instrumented.operator.default_targets(self) if targets is None else targets

    def _grid(self, layer: int, tensor: tf.Tensor) -> tf.Tensor:
        return tf.cast(self._instrumented.layers[layer].layout.to_grid(tensor), tf.float32)

    @property
    def model(self) -> SharedModel:
        """The model as an operator sees it."""
        return SharedModel(self._instrumented.model, self.inputs, self.outputs, self._outputs_of)

    def _outputs_of(self, inputs: Any, **options: Any) -> Any:
        """Return what the model puts out for other inputs."""
        model = self._instrumented
        return tf.nest.map_structure(model.explained, model.call(inputs, lambda _layer, _path, _nth, y: y, **options))

    @property
    def layers(self) -> list[LayerCall]:
        """The explained layers."""
        return self._instrumented.layers

    def probabilities_without_logits(self) -> str | None:
        """Return what to do about it where probabilities are explained; None where they are not, or an operator's."""
        model = self._instrumented
        if not model.operator.explains_logits or not any(map(hides_probabilities, tf.nest.flatten(self.outputs))):
            return None
        if model.seeks_logits:
            return (
                "end the model in a plain softmax or sigmoid, or name the layer that gives the logits as output_layer="
            )
        return "leave output_layer= off, or name the layer before"

    def scores(self) -> tf.Tensor:
        """Return the explained scores ``(N,)``."""
        with self._tape:
            return self._score(self)

    def is_affine(self, layer: int) -> bool:
        """Whether the scores are an affine function of the activations of a layer."""
        tensor, call = self.tensors[layer], self._instrumented.layers[layer]
        scores = self.scores()
        require_dependence(scores, tensor, call.path, self._instrumented.model.name)
        return is_affine(scores, tensor)

    def gradients(self) -> list[tf.Tensor]:
        """Return the gradient of the summed scores for each of the activations; taken once."""
        return self.once("gradients", self._take_gradients)

    def once(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return what is computed of this very run, once, however often it is asked for under this key."""
        if key not in self._found:
            self._found[key] = compute()
        return self._found[key]

    def _take_gradients(self) -> list[tf.Tensor]:
        scores = self.scores()
        if not self._in_half_precision:
            return self._backward(scores, None)
        return scaled_gradients(lambda scales: self._backward(scores, scales), self.activations, tf.shape(scores)[0])

    def _backward(self, scores: tf.Tensor, scales: tf.Tensor | None) -> list[tf.Tensor]:
        with self._tape:
            score = tf.reduce_sum(scores if scales is None else scores * scales)
        native = of_known_shape(self._tape.gradient(score, self.tensors), self.tensors)
        for call, tensor, gradient in zip(self._instrumented.layers, self.tensors, native, strict=True):
            require_gradient(gradient, scores, tensor, call.path, self._instrumented.model.name)
        return [self._grid(i, gradient) for i, gradient in enumerate(native)]

    def here(self) -> Run:
        """Return this run, or one on the same inputs in the graph that is being traced, such as a loop's."""
        is_here = tf.nest.flatten(self.predictions)[0].graph is tf.compat.v1.get_default_graph()
        return self if is_here else self.rerun(self.source())

    def gradients_of_inputs(self, scores: tf.Tensor, tensors: list[tf.Tensor]) -> list[tf.Tensor | None]:
        """Return the gradient of the summed scores for tensors that they are computed from, and for the source."""
        grid = self._instrumented.layers[0].input_grid
        given = tf.nest.flatten(self.inputs)[grid.index]
        *others, gradient = gradients_of(tf.reduce_sum(scores), [*tensors, given])
        return [*others, None if gradient is None else grid.layout.to_grid(gradient)]

    def at(self, layers: Sequence[int]) -> Run:
        """Return this very run, as if these of its layers were explained alone; the same for the same layers."""
        return self.once(tuple(layers), lambda: self._at(layers))

    def _at(self, layers: Sequence[int]) -> Run:
        other = self._changed()
        other._instrumented = self._instrumented.at(layers)
        other.tensors = [self.tensors[layer] for layer in layers]
        other.activations = [self.activations[layer] for layer in layers]
        return other

    def explaining(self, targets: Any) -> Run:
        """Return this very run, with its scores and gradients those of other targets."""
        other = self._changed()
        other.targets = targets
        return other

    def scored(self, change: Callable[[Score], Score]) -> Run:
        """Return this very run with other scores, made from the function that gives those of now."""
        other = self._changed()
        other._score = change(self._score)
        return other

    def _changed(self) -> Run:
        other = copy.copy(self)
        other._found = {}
        return other

    def negated(self) -> Run:
        """Return this very run, with what speaks against its scores speaking for them."""
        return self.scored(lambda score: lambda run: -score(run))

    def source(self, layer: int = 0) -> tf.Tensor:
        """Return the input ``(N, *input_grid, C)`` that a layer has its grid from."""
        grid = self._instrumented.layers[layer].input_grid
        return grid.layout.to_grid(tf.nest.flatten(self.inputs)[grid.index])

    def resized(self, maps: tf.Tensor, layer: int = 0, to: int | None = None, kernel: Kernel = cubic) -> tf.Tensor:
        """Return maps ``(N, *grid)`` of a layer at the grid of another, or of the input that it has its grid from."""
        like = (self.source(layer) if to is None else self.activations[to])[..., 0]
        alignment, call = self._instrumented.alignment, self.layers[layer]
        if alignment is None:
            return resized(maps, like, EvenMatrix(kernel))
        there = None if to is None else self.layers[to]
        return resized(maps, like, alignment.matrices(call, there, self.source(layer), kernel))

    def unmirrored(self, maps: tf.Tensor, layer: int | None) -> tf.Tensor:
        """Return the maps of a layer, or of the input, that mirrored images gave, as those of the images themselves."""
        mirrored, alignment = tf.reverse(maps, [maps.shape.rank - 1]), self._instrumented.alignment
        if alignment is None or layer is None:
            return mirrored
        matrices = alignment.unmirroring(self.layers[layer], self.source(layer), tf.shape(maps)[-1])
        return resized(mirrored, mirrored, matrices)

    def resized_part(self, maps: tf.Tensor, tensor: tf.Tensor) -> tf.Tensor:
        """Return maps of the grid of any tensor of this run's graph at that of the input."""
        alignment, source = self._instrumented.alignment, self.source()
        if alignment is None:
            return resized(maps, source[..., 0])
        if alignment.fixed or alignment.measured:
            raise ValueError(
                "A map that is the sum of what each layer gives has its cells placed by arithmetic alone: leave align= "
                "off."
            )
        start = tf.nest.flatten(self.inputs)[self.layers[0].input_grid.index]
        fields = self.once("fields", lambda: GraphFields(start))
        cells = Cells(tensor.name, lambda sizes: fields.of(tensor, sizes))
        return resized(maps, source[..., 0], alignment.matrices(cells, None, source))

    def rerun(self, images: tf.Tensor, layer: int = 0) -> Run:
        """Run the model on n times N other images, in `source`'s place: n for the first of the batch, and so on."""
        grid = self._instrumented.layers[layer].input_grid
        flat = tf.nest.flatten(self._repeated(self.inputs, images))
        # A tensor of the graph that is being traced, from which all of the run can be told to come.
        flat[grid.index] = tf.identity(tf.cast(grid.layout.from_grid(images), flat[grid.index].dtype))
        return self._again(tf.nest.pack_sequence_as(self.inputs, flat), images, {})

    def head(self, activations: tf.Tensor, layer: int = 0) -> Run:
        """Run what comes after a layer on n times N activations ``(n * N, *grid, K)`` of our own choosing."""
        # What goes around the layer is taken from this run, not computed from the inputs again.
        calls = {call: one for call, one in self._calls.items() if is_batch(one)}
        kept = {call: self._repeated(calls[call], activations) for call in around(self.tensors[layer], calls)}
        return self._again(self._repeated(self.inputs, activations), activations, {layer: activations}, kept)

    def _again(self, inputs: Any, like: tf.Tensor, replaced: dict[int, tf.Tensor], kept: Any = None) -> Run:
        return Run(self._instrumented, inputs, self._repeated(self.targets, like), replaced, self._score, kept)

    def _repeated(self, structure: Any, like: tf.Tensor) -> Any:
        count = tf.shape(tf.nest.flatten(self.inputs)[0])[0]
        times = tf.shape(like)[0] // tf.shape(self.activations[0])[0]
        # An operator of the user's may need no targets.
        return tf.nest.map_structure(lambda one: None if one is None else repeated_rows(one, count, times), structure)
