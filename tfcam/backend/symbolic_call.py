"""One symbolic call of a model: its layer calls and their graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import tensorflow as tf

from tfcam.backend.keras_compat import infer
from tfcam.backend.layer_hooks import intercepting

#: Scores of inputs and outputs that are being traced; None where they cannot be computed.
SymbolicScore: TypeAlias = Callable[[Any, Any], tf.Tensor | None]


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
    graph : tf.Graph
    inputs : list of tf.Tensor
        One for each of the model's inputs, flat.
    seen : list of Seen
        The calls that put out one tensor, in order.
    outputs : structure of tf.Tensor
    hidden : list of str
        Paths of layers that ran in another graph only.
    given : dict
        The tensors that a call was made on, by the layer's id and the number of the call.
    scores : tf.Tensor or None
        What `run_symbolically` was asked to compute of the outputs; None where that cannot be computed so.
    """

    graph: Any
    inputs: list[tf.Tensor]
    seen: list[Seen]
    outputs: Any
    hidden: list[str]
    given: dict[tuple[int, int], list[tf.Tensor]]
    scores: tf.Tensor | None = None


def specs_of(inputs: Any) -> Any:
    """Return the TensorSpecs of a batch, of tensors or of TensorSpecs, with a free batch size."""
    return tf.nest.map_structure(lambda tensor: tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype), inputs)


def run_symbolically(model: Any, specs: Any, score: SymbolicScore | None = None) -> SymbolicRun:
    """Run a model in inference mode on a structure of TensorSpecs, and compute a score of its inputs and outputs.

    Raises
    ------
    Untraceable
        Where the model asks for a size that they leave open, or for a value.
    """
    seen: list[Seen] = []
    hidden: dict[str, None] = {}
    outputs: list[Any] = []
    scores: list[tf.Tensor | None] = []
    given: dict[tuple[int, int], list[tf.Tensor]] = {}

    def visitor(layer: Any, path: str, nth: int, output: Any) -> Any:
        if isinstance(output, tf.Tensor) and output.shape.rank is not None:
            seen.append(Seen(layer, path, nth, output))
        return output

    def run(*flat: tf.Tensor) -> Any:
        inputs = tf.nest.pack_sequence_as(specs, flat)
        with intercepting(model, visitor, hidden) as made_on:
            outputs.append(infer(model, inputs))
        given.update(made_on)
        scores.append(None if score is None else score(inputs, outputs[0]))
        return outputs[0]

    flat = tf.nest.flatten(specs)
    try:
        graph = tf.function(run, autograph=False).get_concrete_function(*flat).graph
    except (TypeError, ValueError, AttributeError, LookupError) as error:
        raise Untraceable(
            f"Model {model.name!r} cannot be traced for batches of any size ({type(error).__name__}: {error}). In its "
            "call(), use tf.shape(x)[0] instead of x.shape[0], and tf.cond instead of if on a tensor."
        ) from error
    paths = {call.path for call in seen}
    only_hidden = [path for path in hidden if path not in paths]
    return SymbolicRun(graph, graph.inputs[: len(flat)], seen, outputs[0], only_hidden, given, scores[0])
