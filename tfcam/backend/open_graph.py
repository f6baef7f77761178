"""The graph of a traced model, kept open: what is computed of the model is added to it, and compiled on its own.

TensorFlow has no public call for that: a ``tf.function`` runs the model's Python again for each function that is made
of it. No other file touches what is private to TensorFlow's functions.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import tensorflow as tf
from tensorflow.python.autograph.core import ag_ctx
from tensorflow.python.eager import record
from tensorflow.python.eager.polymorphic_function import atomic_function
from tensorflow.python.framework.auto_control_deps import AutomaticControlDependencies
from tensorflow.python.framework.func_graph import func_graph_from_py_func

from tfcam.backend.keras_compat import run_after

logger = logging.getLogger("tfcam")

_numbers = itertools.count()
#: How many functions a graph may hold: what each leaves in it is never taken out.
_MOST_FUNCTIONS = 64


class OpenGraph:
    """The graph of a function of tensors, to which functions of these tensors, and of others, are added.

    Parameters
    ----------
    function : callable
        From one tensor for each TensorSpec to what it gives.
    specs : sequence of tf.TensorSpec
    """

    def __init__(self, function: Callable[..., Any], specs: Sequence[tf.TensorSpec]) -> None:
        with _without_autograph():
            self.graph = func_graph_from_py_func("model", function, [], {}, signature=list(specs))
        self.inputs: list[tf.Tensor] = list(self.graph.inputs[: len(specs)])
        self._lock, self._compiled = threading.RLock(), 0
        # Assertions and the like, which nothing else asks for.
        self._must_run = list(self.graph.control_outputs)
        self._own = len(self.graph.get_operations())

    @property
    def is_full(self) -> bool:
        """Whether it holds so many functions that it takes more memory, and time to look through, than a new one."""
        return self._compiled >= _MOST_FUNCTIONS

    def compiled(self, function: Callable[..., Any], specs: Sequence[tf.TensorSpec]) -> CompiledFunction | None:
        """Return a function of the graph's inputs and of tensors of these TensorSpecs, of which it is given the latter.

        It gives a structure of tensors, and of what else need not be computed. None where TensorFlow refuses to compile
        a part of a graph.
        """
        dependencies = AutomaticControlDependencies()
        with self._lock, _without_autograph():
            with self.graph.as_default(), dependencies:
                others = [tf.compat.v1.placeholder(spec.dtype, spec.shape) for spec in specs]
                results = tf.nest.map_structure(
                    lambda one: dependencies.mark_as_return(one) if isinstance(one, tf.Tensor) else one,
                    function(*others),
                )
            added = list(dependencies.ops_which_must_run)
            self._order(added)
            must_run = [*self._must_run, *added]
            self._compiled += 1
            try:
                return CompiledFunction(self, [*self.inputs, *others], results, must_run)
            except (AttributeError, TypeError) as error:
                logger.debug("TensorFlow does not compile a part of a graph: %s", error)
                return None

    @cached_property
    def _readers(self) -> dict[str, list[tf.Operation]]:
        """What the model itself reads of each variable; few functions write any, and ask."""
        readers: dict[str, list[tf.Operation]] = {}
        for operation in self.graph.get_operations()[: self._own]:
            for resource in _resources(operation):
                readers.setdefault(resource.name, []).append(operation)
        return readers

    def _order(self, operations: Sequence[tf.Operation]) -> None:
        """Let operations that may write, such as a model's in training mode, wait until the model has read its own."""
        # TensorFlow orders what is added among itself, and knows nothing of what the graph held before.
        for operation in operations:
            for resource in _resources(operation):
                run_after(operation, self._readers.get(resource.name, []))


class CompiledFunction:
    """A part of an open graph, compiled.

    Attributes
    ----------
    structured_outputs
        What it gives, as tensors of the graph.
    """

    def __init__(self, opened: OpenGraph, inputs: list[tf.Tensor], results: Any, must_run: list[tf.Operation]) -> None:
        self.structured_outputs = results
        self._opened = opened
        part = _Part(opened.graph, inputs, list(_tensors(results)), must_run)
        self._captured = part.external_captures
        self._function = atomic_function.from_func_graph(f"__inference_tfcam_{next(_numbers)}", part, {})

    def __call__(self, *inputs: tf.Tensor) -> Any:
        """Return what the function gives for tensors, which may be no tape's."""
        given = iter(self._function.call_flat(*inputs, *self._captured))
        return tf.nest.map_structure(
            lambda one: next(given) if isinstance(one, tf.Tensor) else one, self.structured_outputs
        )


class _Part:
    """A graph as TensorFlow is to compile it: with these inputs and outputs, and what lies between."""

    def __init__(
        self, graph: Any, inputs: list[tf.Tensor], outputs: list[tf.Tensor], must_run: list[tf.Operation]
    ) -> None:
        self._graph, self.outputs, self.control_outputs = graph, outputs, must_run
        needed = _needed([*(tensor.op for tensor in outputs), *must_run])
        captures = [(outside, inside) for outside, inside in graph.captures if inside.op in needed]
        self.external_captures = [outside for outside, _ in captures]
        self.inputs = [*inputs, *(inside for _, inside in captures)]
        # In the order in which they were made.
        self._operations = [operation for operation in graph.get_operations() if operation in needed]

    def get_operations(self) -> list[tf.Operation]:
        return self._operations

    def __getattr__(self, name: str) -> Any:
        return getattr(self._graph, name)


def _needed(operations: Sequence[tf.Operation]) -> set[tf.Operation]:
    """Return operations and all that must run before them."""
    found, left = set(operations), list(operations)
    while left:
        operation = left.pop()
        for before in (*(tensor.op for tensor in operation.inputs), *operation.control_inputs):
            if before not in found:
                found.add(before)
                left.append(before)
    return found


def _resources(operation: tf.Operation) -> list[tf.Tensor]:
    """Return the variables and tables that an operation is given."""
    return [tensor for tensor in operation.inputs if tensor.dtype == tf.resource]


def _tensors(structure: Any) -> Iterator[tf.Tensor]:
    return (one for one in tf.nest.flatten(structure) if isinstance(one, tf.Tensor))


@contextmanager
def _without_autograph() -> Iterator[None]:
    """Let Python's ``if`` be what it is, as in a ``tf.function`` of ``autograph=False``."""
    with ag_ctx.ControlStatusCtx(ag_ctx.Status.DISABLED):
        yield


def is_recording() -> bool:
    """Whether a tape or an accumulator may want the derivatives of what is computed now."""
    return bool(record.could_possibly_record())
