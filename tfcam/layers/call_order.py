"""Which outputs of a run's layer calls its tensors are computed from."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property, reduce
from operator import or_

import tensorflow as tf

from tfcam.backend.symbolic_call import SymbolicRun
from tfcam.graph.logits import activation_inputs
from tfcam.graph.traversal import ancestors, flow, lineage, sources


class CallOrder:
    """The outputs of a run's calls, numbered, and the paths between them.

    A path is an int: bit t is set where it leads through output t. Two calls share an output where a nested model hands
    on that of its last layer.

    Attributes
    ----------
    several : set of int
        The ids of the model's outputs, where it has several.
    """

    def __init__(self, run: SymbolicRun) -> None:
        self._numbers: dict[int, int] = {}
        self._outputs: dict[tf.Operation, int] = {}
        for call in run.seen:
            number = self._numbers.setdefault(id(call.output), len(self._numbers))
            self._outputs[call.output.op] = self._outputs.get(call.output.op, 0) | 1 << number
        self._paths = flow(run.graph, self._outputs)
        ends = tf.nest.flatten(run.outputs)
        self.several = {id(end) for end in ends} if len(ends) > 1 else set()
        self._ends = ends

    def is_on(self, path: int, output: tf.Tensor) -> bool:
        """Whether a path leads through an output of a call."""
        return id(output) in self._numbers and bool(path >> self._numbers[id(output)] & 1)

    @cached_property
    def _before_logits(self) -> set[tf.Operation]:
        return {operation for tensor in _explained(self._ends) for operation in ancestors(tensor.op)}

    def leads_to_logits(self, output: tf.Tensor) -> bool:
        """Whether the logits of any of the model's outputs, or an output that has none, are computed from a tensor."""
        return output.op in self._before_logits

    def path_to(self, output: tf.Tensor) -> int:
        """Return the path to an output of a call, itself left out; for one of the model's several, as `path_to_all`."""
        if id(output) in self.several:
            return self.path_to_all([output])
        return self._paths[output.op] & ~(1 << self._numbers[id(output)])

    def path_to_all(self, ends: list[tf.Tensor]) -> int:
        """Return the path to the model's outputs, themselves and their logits left out.

        Before a final softmax or sigmoid, its input counts: it is what is explained.
        """
        logits = _explained(ends)
        own = self._union(operation for tensor in [*logits, *ends] for operation in lineage(tensor))
        return reduce(or_, (self._paths[tensor.op] for tensor in logits)) & ~own

    def path_to_scores(self, scores: tf.Tensor) -> int:
        """Return the path to scores that were computed in the graph later."""
        return self._union(sources(scores))

    def _union(self, operations: Iterable[tf.Operation]) -> int:
        return reduce(or_, (self._outputs.get(operation, 0) for operation in operations), 0)


def _explained(ends: list[tf.Tensor]) -> list[tf.Tensor]:
    """Return what is explained of outputs: the logits that enter their final softmax or sigmoid, or themselves."""
    return [tensor for end in ends for tensor in activation_inputs(end) or [end]]
