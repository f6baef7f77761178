"""Through which of its axes a score depends on a tensor: a class token's does not on the patches of the last block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import tensorflow as tf

from tfcam.graph.axes import Axis, Joined, has_positions, is_lost, size_of
from tfcam.graph.axis_labels import Labels, Step
from tfcam.graph.axis_marks import marked, marks, with_labels
from tfcam.graph.axis_moves import MOVES
from tfcam.graph.axis_origins import AxisOrigins
from tfcam.graph.axis_rules import labels_of


class Dependence:
    """What the ends of a graph depend on, and through which axes.

    An axis with positions is live where an end depends on what stands at them. Of the tokens that the last block of a
    transformer puts out, a class token's score depends on the class token alone: they are needed, but not live.

    Parameters
    ----------
    graph : tf.Graph
    origins : AxisOrigins
    ends : iterable of tf.Tensor
    """

    def __init__(self, graph: tf.Graph, origins: AxisOrigins, ends: Iterable[tf.Tensor]) -> None:
        self._origins = origins
        self._live: dict[tuple[tf.Operation, int], set[int]] = {}
        self._live_inputs: set[tuple[tf.Operation, int]] = set()
        for end in ends:
            if end in origins:
                self._need(end, _placed(origins[end].axes))
        for operation in reversed(graph.get_operations()):
            outputs = [tensor for tensor in operation.outputs if self.is_needed(tensor)]
            if outputs and any(tensor in origins for tensor in operation.inputs):
                self._go_back(operation, outputs)

    def is_needed(self, tensor: tf.Tensor) -> bool:
        """Whether an end depends on a tensor."""
        return (tensor.op, tensor.value_index) in self._live

    def is_live(self, tensor: tf.Tensor) -> bool:
        """Whether an end depends on what stands at the positions of a tensor."""
        return bool(self._live_axes(tensor))

    def is_live_input(self, operation: tf.Operation, number: int) -> bool:
        """Whether an end depends, through this operation, on what stands at the positions of one of its inputs."""
        return (operation, number) in self._live_inputs

    def _live_axes(self, tensor: tf.Tensor) -> set[int]:
        return self._live.get((tensor.op, tensor.value_index), set())

    def _need(self, tensor: tf.Tensor, axes: Iterable[int]) -> None:
        self._live.setdefault((tensor.op, tensor.value_index), set()).update(axes)

    def _go_back(self, operation: tf.Operation, outputs: list[tf.Tensor]) -> None:
        """Find the live axes of the inputs of an operation, of which these outputs are needed."""
        step, origins = self._origins.step(operation), self._origins
        has_parts = any(_has_parts(origins[tensor].axes) for tensor in [*operation.inputs, *outputs])
        is_dead = all(_placed(origins[one].axes) and not self.is_live(one) for one in outputs)
        for number, tensor in enumerate(operation.inputs):
            if step.depends[number]:
                axes = _placed(step.inputs[number].axes)
                if has_parts and axes:
                    axes &= set(self._live_through(step, number, outputs))
                elif is_dead:
                    axes = set()
                self._need(tensor, axes)
                if axes:
                    self._live_inputs.add((operation, number))

    def _live_through(self, step: Step, number: int, outputs: list[tf.Tensor]) -> Iterator[int]:
        """Yield the axes of an input of an operation that are live for these of its outputs.

        The rule that tells where the axes of the outputs come from is asked again, with the axes of the input marked.
        """
        given = step.inputs[number]
        axes = [marked(axis, position) for position, axis in enumerate(given.axes)]
        picks = {axis: index for axis, index in given.picks.items() if axis not in given.axes}
        inputs = with_labels(step.inputs, number, Labels(tuple(axes), picks, given.element))
        results = labels_of(replace(step, inputs=inputs))
        for position, axis in enumerate(axes):
            for output in outputs:
                labels = results[output.value_index] if output.value_index < len(results) else None
                if labels is None or self._is_live_in(step, labels, output, axis, position):
                    yield position
                    break

    def _is_live_in(self, step: Step, labels: Labels, output: tf.Tensor, axis: Axis, position: int) -> bool:
        """Whether a marked axis of an input is live for an output of these labels."""
        carriers = {place for place, one in enumerate(labels.axes) if position in marks((one,))}
        if carriers:
            return bool(carriers & self._live_axes(output))
        if step.kind not in MOVES or is_lost(labels.axes):
            # Summed over, or not told.
            return True
        # Cut away, but for what was picked from it.
        return axis in labels.picks and _is_placed_at(axis, labels.picks[axis])


def _placed(axes: Sequence[Axis]) -> set[int]:
    """Return which axes have positions, or have lost them."""
    return {number for number, axis in enumerate(axes) if has_positions((axis,)) or is_lost((axis,))}


def _has_parts(axes: Sequence[Axis]) -> bool:
    return any(isinstance(digit.origin, Joined) for axis in axes for digit in axis)


def _is_placed_at(axis: Axis, index: int | str) -> bool:
    """Whether what was picked from an axis has a position in an input."""
    if isinstance(index, str) or not (len(axis) == 1 and isinstance(axis[0].origin, Joined)):
        return True
    for part in axis[0].origin.parts:
        if index < size_of(part):
            return has_positions((part,))
        index -= size_of(part)
    return True
