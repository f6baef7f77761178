"""One symbolic call of a model: its layer calls and their graph."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, NamedTuple

import tensorflow as tf

from tfcam.backend.keras_compat import infer, layers_of
from tfcam.backend.layer_hooks import intercepting
from tfcam.backend.open_graph import OpenGraph

logger = logging.getLogger("tfcam")


class Untraceable(ValueError):
    """A model that cannot be run symbolically on inputs of these TensorSpecs."""


class Seen(NamedTuple):
    """A layer's call that was seen: its path, which call of the layer it is, and its output."""

    layer: Any
    path: str
    nth: int
    output: tf.Tensor


@dataclass(frozen=True)
class SymbolicRun:
    """A model's run on TensorSpecs.

    Attributes
    ----------
    inputs : list of tf.Tensor
        One for each of the model's inputs, flat.
    outputs : structure of tf.Tensor
    calls : dict
        What each call of a layer put out, by the layer's id and the number of the call, in order.
    seen : list of Seen
        The calls that put out one tensor, in order.
    given : dict
        The tensors that a call was made on, as `calls` has them.
    hidden : list of str
        Paths of layers that ran in another graph only.
    graph : tf.Graph
    opened : OpenGraph or None
        What more can be computed in the graph; None where TensorFlow does not let it be added to.
    own : set
        The calls of layers that the model holds, whose output is a tensor of their own: it is not what the layer was
        given, nor what a layer before puts out, nor one of several that an operation gives.
    """

    inputs: list[tf.Tensor]
    outputs: Any
    calls: dict[tuple[int, int], Any]
    seen: list[Seen]
    given: dict[tuple[int, int], list[tf.Tensor]]
    hidden: list[str]
    graph: Any
    opened: OpenGraph | None
    own: set[tuple[int, int]]


def specs_of(inputs: Any) -> Any:
    """Return the TensorSpecs of a batch, of tensors or of TensorSpecs, with a free batch size."""
    return tf.nest.map_structure(lambda tensor: tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype), inputs)


def run_symbolically(model: Any, specs: Any) -> SymbolicRun:
    """Run a model in inference mode on a structure of TensorSpecs.

    Raises
    ------
    Untraceable
        Where the model asks for a size that they leave open, or for a value.
    """
    flat = tf.nest.flatten(specs)
    recorder = _Recorder(model, specs)
    try:
        opened = OpenGraph(recorder.run, flat)
    except Exception as error:
        # Whatever it is that TensorFlow does not do here, such as variables that a model makes when it is called first.
        logger.debug("Model %r is not traced in an open graph: %s", model.name, error)
    else:
        return recorder.recorded(opened.graph, opened)
    recorder = _Recorder(model, specs)
    try:
        graph = tf.function(recorder.run, autograph=False).get_concrete_function(*flat).graph
    except (TypeError, ValueError, AttributeError, LookupError) as error:
        raise Untraceable(
            f"Model {model.name!r} cannot be traced for batches of any size ({type(error).__name__}: {error}). In its "
            "call(), use tf.shape(x)[0] instead of x.shape[0], and tf.cond instead of if on a tensor."
        ) from error
    return recorder.recorded(graph, None)


class _Recorder:
    """What is seen while a model is traced."""

    def __init__(self, model: Any, specs: Any) -> None:
        self._model, self._specs = model, specs
        self._inputs: list[tf.Tensor] = []
        self._outputs: Any = None
        self._calls: dict[tuple[int, int], Any] = {}
        self._seen: list[Seen] = []

    def run(self, *flat: tf.Tensor) -> Any:
        """Return what the model puts out."""
        self._inputs = list(flat)
        with intercepting(self._model, self._see) as self._interception:
            self._outputs = infer(self._model, tf.nest.pack_sequence_as(self._specs, flat))
        return self._outputs

    def _see(self, layer: Any, path: str, nth: int, output: Any) -> Any:
        self._calls[id(layer), nth] = output
        if isinstance(output, tf.Tensor) and output.shape.rank is not None:
            self._seen.append(Seen(layer, path, nth, output))
        return output

    def recorded(self, graph: Any, opened: OpenGraph | None) -> SymbolicRun:
        """Return all of it."""
        paths = {call.path for call in self._seen}
        hidden = [path for path in self._interception.hidden if path not in paths]
        given, own = self._interception.given, self._own()
        return SymbolicRun(self._inputs, self._outputs, self._calls, self._seen, given, hidden, graph, opened, own)

    def _own(self) -> set[tuple[int, int]]:
        found, tensors = set(), set()
        # Others may be made anew at each call, as activation functions are not.
        held = {id(layer) for layer in layers_of(self._model)}
        for layer, _, nth, output in self._seen:
            key = id(layer), nth
            is_given = any(output is one for one in self._interception.given[key])
            others = any(one is not output and one.consumers() for one in output.op.outputs)
            is_held = id(layer) in held or not hasattr(layer, "get_weights")
            if is_held and not (is_given or others or id(output) in tensors):
                found.add(key)
            tensors.add(id(output))
        return found
