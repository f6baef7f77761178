"""The axes of a tensor, and what an operation is told of its inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
import tensorflow as tf

from tfcam.graph.axes import NONE, Axis, blind, is_free, size_of, whole
from tfcam.graph.axis_cuts import joint
from tfcam.ops.layout import CHANNELS_FIRST, find_layout


@dataclass(frozen=True)
class Labels:
    """The axes of a tensor, and the places in axes that it was picked from.

    Attributes
    ----------
    axes : tuple of Axis
    picks : dict
        By the axis that was picked from: which index, a number or the name of a tensor.
    element : Labels or None
        Of a list of tensors, as loops keep them, those of each; the list has one axis.
    """

    axes: tuple[Axis, ...]
    picks: dict[Axis, int | str]
    element: Labels | None = None

    @classmethod
    def of(cls, axes: Sequence[Axis], *others: Labels) -> Labels:
        """Return the axes of what is computed from others: with those picks that they agree in."""
        picks: dict[Axis, Any] = {}
        for other in others:
            for axis, index in other.picks.items():
                picks[axis] = index if picks.get(axis, index) == index else None
        return cls(tuple(axes), {axis: index for axis, index in picks.items() if index is not None})

    @classmethod
    def of_shape(cls, sizes: Sequence[int | None]) -> Labels:
        """Return axes of these sizes, which have no position."""
        return cls(tuple(whole(NONE, 1 if size is None else int(size)) for size in sizes), {})

    @property
    def sizes(self) -> list[int]:
        """How many entries each axis has."""
        return [size_of(axis) for axis in self.axes]


@dataclass(frozen=True)
class Step:
    """An operation, the labels of its inputs, and what is known of their values.

    Attributes
    ----------
    operation : tf.Operation
    inputs : list of Labels
    depends : list of bool
        Which of these depend on the data.
    value : callable
        From the position of an input to its value, an array; None where that depends on the data.
    is_open : bool
        Whether sizes of the model's inputs are open, so that values may be others for inputs of other sizes.
    """

    operation: tf.Operation
    inputs: list[Labels]
    depends: list[bool]
    value: Callable[[int], np.ndarray | None]
    is_open: bool

    @property
    def kind(self) -> str:
        """The type of the operation."""
        return str(self.operation.type)

    @property
    def name(self) -> str:
        """The name of the operation, which holds that of the layer."""
        return str(self.operation.name)

    @property
    def first(self) -> tuple[Axis, ...]:
        """The axes of the first input."""
        return self.inputs[0].axes

    def is_certain(self, *positions: int) -> bool:
        """Whether the values of inputs are the same for the model's inputs of all sizes."""
        return not self.is_open or all(
            tf.get_static_value(self.operation.inputs[position]) is not None for position in positions
        )

    def axis(self, position: int) -> int | None:
        """Return the axis of the first input that the value of another one names."""
        value = self.value(position)
        return None if value is None else int(value) % max(len(self.first), 1)

    def numbers(self, position: int) -> list[int] | None:
        """Return the value of an input as a list of numbers."""
        value = self.value(position)
        return None if value is None else [int(number) for number in np.ravel(value)]

    @property
    def slid(self) -> tuple[Axis, ...]:
        """The axes of the tensor that a convolution or pooling slides over."""
        return self.inputs[2 if "Backprop" in self.kind else 0].axes

    @property
    def channels(self) -> int:
        """Which axis of that tensor the channels are."""
        formats = [attribute.name for attribute in self.operation.op_def.attr if attribute.name == "data_format"]
        layout = find_layout(self.operation.get_attr("data_format").decode()) if formats else None
        return 1 if layout == CHANNELS_FIRST else len(self.slid) - 1


class Untold(ValueError):
    """The rule of an operation needs what is not known, such as a size that depends on the data."""


def joint_axes(inputs: Sequence[Sequence[Axis]], operation: str) -> list[Axis]:
    """Return the axes of what is computed entry by entry from all, the last axes at one another."""
    result: list[Axis] = []
    for axes in inputs:
        pairs = zip_longest(reversed(result), reversed(list(axes)), fillvalue=())
        result = [joint(one, other, operation) for one, other in pairs][::-1]
    return result


def replaced(axes: Sequence[Axis], position: int, *others: Axis) -> list[Axis]:
    """Return axes with others in place of one."""
    result, position = list(axes), position % len(axes)
    result[position : position + 1] = others
    return result


def need(value: Any) -> Any:
    """Return a value that must be known."""
    if value is None:
        raise Untold
    return value


def entrywise(step: Step) -> list[Axis]:
    """Return the axes of what is computed entry by entry."""
    return entrywise_of(step, [labels.axes for labels in step.inputs])


def entrywise_of(step: Step, inputs: Sequence[Sequence[Axis]]) -> list[Axis]:
    """Return the axes of what is computed entry by entry from inputs of a step of which these axes are left.

    Data without a position, such as what a Dense layer makes of all cells, may see all of them.
    """
    result = joint_axes(inputs, step.name)
    for axes, depends in zip(inputs, step.depends, strict=False):
        for number, axis in enumerate(reversed(list(axes)), 1):
            if depends and any(digit.origin is NONE for digit in axis) and not is_free(result[-number]):
                result[-number] = blind(result[-number])
    return result
