"""How a convolution or a pooling moves the cells of a grid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from tfcam.graph.receptive_axis import Axis, Window
from tfcam.ops.layout import Layout, find_layout

#: From an axis to the axis after an operation; None where its cells are lost.
Rule: TypeAlias = Callable[..., Axis | None]


def repetition(times: int) -> Rule:
    """Return the rule where each cell becomes so many."""
    return lambda axis: axis.through(Window.repetition(times), axis.size and axis.size * times)


def cut(part: slice) -> Rule:
    """Return the rule of a slice."""

    def rule(axis: Axis) -> Axis | None:
        stride, size, start = part.step or 1, axis.size, part.start or 0
        if stride < 1:
            return None
        if size is not None:
            cells = range(*part.indices(size))
            return axis.through(Window.convolution(padding=-cells.start, stride=stride), len(cells))
        return axis.through(Window.convolution(padding=-start, stride=stride), None, start >= 0)

    return rule


def padded(before: int, after: int) -> Rule:
    """Return the rule of a padding by so many cells; of a cropping, where they are below zero."""
    window = Window.convolution(padding=before)
    return lambda axis: axis.through(window, axis.size and axis.size + before + after)


def somewhere(axis: Axis) -> Axis:
    """Return the axis of cells of which some were added or left out, and it is not known how many."""
    return axis.through(Window.convolution(), None, is_placed=False)


@dataclass(frozen=True)
class Slide:
    """A convolution or pooling along one axis, with its explicit padding, if it has one."""

    kernel: int
    stride: int
    dilation: int
    padding: str
    explicit: Sequence[int] = (0, 0)

    @property
    def extent(self) -> int:
        """How many cells its kernel spans."""
        return (self.kernel - 1) * self.dilation + 1

    def output_size(self, size: int) -> int:
        """Return how many cells it makes of an axis of this size."""
        if self.padding == "SAME":
            return -(-size // self.stride)
        return (size + sum(self.explicit) - self.extent) // self.stride + 1

    def rule(self, axis: Axis) -> Axis | None:
        """Return the axis of what it makes of one."""
        slide, size = replace(self, dilation=self.dilation * axis.folds), axis.size
        before, is_placed = self.explicit[0], True
        if self.padding == "SAME":
            # TensorFlow's rule: the odd one of the padding at the end.
            rest = 0 if size is None else size % self.stride
            before = max(slide.extent - (rest or self.stride), 0) // 2
            is_placed = size is not None or self.stride == 1
        window = Window.convolution(self.kernel, self.stride, before, slide.dilation)
        return axis.through(window, None if size is None else slide.output_size(size), is_placed)

    def transposed_rule(self, axis: Axis, output_size: int | None) -> Axis | None:
        """Return the axis of what the transposed convolution makes of one, of this size where the graph tells it."""
        overlap, size = max(self.extent - self.stride, 0), axis.size
        if output_size is None and size is not None:
            output_size = size * self.stride + (overlap if self.padding == "VALID" else 0)
        if output_size is not None and size is not None:
            overlap = max((size - 1) * self.stride + self.extent - output_size, 0)
        before = overlap // 2 if self.padding == "SAME" else 0
        window = Window.transposed_convolution(self.kernel, self.stride, before, self.dilation)
        return axis.through(window, output_size, output_size is not None or self.padding == "VALID")


def along_grid(node: Any, values: Sequence[Any]) -> list[Any]:
    """Return the values for the axes of the grid of a convolution or pooling, of one for each axis of its tensor."""
    layout = find_layout(node.attr["data_format"].s.decode()) if "data_format" in node.attr else None
    return list((layout or Layout(-1)).grid(tuple(values)))


def slides(node: Any, kernels: Sequence[Sequence[int | None]], rank: int) -> list[Slide] | None:
    """Return what a convolution or pooling that `node` describes is along each axis of its grid; None if unknown.

    `kernels` are the shapes of its other inputs.
    """
    attributes = node.attr
    sizes = next((attributes[name].list.i for name in ("ksize", "ksizes") if name in attributes), None)
    if sizes is not None:
        kernel = along_grid(node, sizes)
    else:
        # The kernel of a convolution has the axes of the grid, and two of channels.
        kernel = next((list(shape[:-2]) for shape in kernels if len(shape) > 2), [])
    if None in kernel or len(kernel) < rank:
        return None
    count = len(kernel)
    strides = along_grid(node, attributes["strides"].list.i)
    dilations = along_grid(node, attributes["rates" if "rates" in attributes else "dilations"].list.i) or [1] * count
    pads = np.reshape(attributes["explicit_paddings"].list.i, (-1, 2)).tolist()
    explicit = along_grid(node, pads) or [[0, 0]] * count
    padding = attributes["padding"].s.decode()
    # To TensorFlow a convolution of series is one of images of a single row: the grid has the last axes.
    columns = zip(kernel[-rank:], strides[-rank:], dilations[-rank:], explicit[-rank:], strict=True)
    return [Slide(size, stride, rate, padding, pad) for size, stride, rate, pad in columns]
