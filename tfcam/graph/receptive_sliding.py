"""How a convolution or a pooling moves the cells of a grid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

from tfcam.graph.receptive_axis import Axis, Window
from tfcam.ops.layout import Layout, find_layout

#: From an axis to the axis after an operation; None where its cells are lost.
Rule: TypeAlias = Callable[[Axis], Axis | None]
#: One for each axis of the grid; None where there is no such rule.
Rules: TypeAlias = list[Rule] | None


def through(window: Window, size: int | None, is_placed: bool = True, **changes: Any) -> Rule:
    """Return the rule of a window, after which an axis has so many cells and these attributes."""
    return lambda axis: replace(axis.through(window, size, is_placed), **changes)


@dataclass(frozen=True)
class _Slide:
    """A convolution or pooling along one axis, with its explicit padding, if it has one."""

    kernel: int
    stride: int
    dilation: int
    padding: str
    explicit: Sequence[int] = (0, 0)

    @property
    def extent(self) -> int:
        return (self.kernel - 1) * self.dilation + 1

    def rule(self, size: int | None) -> Rule:
        """Return the rule for an axis of this size."""
        before, total, is_placed = self.explicit[0], sum(self.explicit), True
        if self.padding == "SAME":
            # TensorFlow's rule: ceil(size / stride) cells, and the odd one of the padding at the end.
            rest = 0 if size is None else size % self.stride
            total = max(self.extent - (rest or self.stride), 0)
            before, is_placed = total // 2, size is not None or self.stride == 1
        output_size = None if size is None else (size + total - self.extent) // self.stride + 1
        if self.padding == "SAME" and size is not None:
            output_size = -(-size // self.stride)
        window = Window.convolution(self.kernel, self.stride, before, self.dilation)
        return through(window, output_size, is_placed)

    def transposed_rule(self, size: int | None, output_size: int | None) -> Rule:
        """Return the rule of the transposed convolution for an axis of this size, and of this one afterwards."""
        overlap = max(self.extent - self.stride, 0)
        if output_size is None and size is not None:
            output_size = size * self.stride + (overlap if self.padding == "VALID" else 0)
        if output_size is not None and size is not None:
            overlap = max((size - 1) * self.stride + self.extent - output_size, 0)
        before = overlap // 2 if self.padding == "SAME" else 0
        window = Window.transposed_convolution(self.kernel, self.stride, before, self.dilation)
        return through(window, output_size, output_size is not None or self.padding == "VALID")


def sliding_rules(operation: tf.Operation, node: Any, kernels: list[tf.TensorShape], axes: Sequence[Axis]) -> Rules:
    """Return the rules of a convolution or pooling that `node` describes."""
    rank, attributes = len(axes), node.attr
    layout = find_layout(attributes["data_format"].s.decode()) if "data_format" in attributes else None

    def spatial(values: Sequence[Any]) -> list[Any]:
        """Return the values for the axes of the grid, of one for each axis of the tensor."""
        return list((layout or Layout(-1)).grid(tuple(values)))

    sizes = next((attributes[name].list.i for name in ("ksize", "ksizes") if name in attributes), None)
    if sizes is not None:
        kernel = spatial(sizes)
    else:
        # The kernel of a convolution has the axes of the grid, and two of channels.
        kernel = next((shape.as_list()[:-2] for shape in kernels if shape.rank and shape.rank > 2), [])
    if None in kernel or len(kernel) < rank:
        return None
    strides = spatial(attributes["strides"].list.i)
    dilations = spatial(attributes["rates" if "rates" in attributes else "dilations"].list.i) or [1] * len(kernel)
    explicit = spatial(np.reshape(attributes["explicit_paddings"].list.i, (-1, 2)).tolist()) or [[0, 0]] * len(kernel)
    padding = attributes["padding"].s.decode()
    # To TensorFlow a convolution of series is one of images of a single row: the grid has the last axes.
    columns = zip(kernel[-rank:], strides[-rank:], dilations[-rank:], explicit[-rank:], axes, strict=True)
    each = [_Slide(size, stride, rate * axis.folds, padding, pads) for size, stride, rate, pads, axis in columns]
    if "Backprop" not in node.op:
        return [slide.rule(axis.size) for slide, axis in zip(each, axes, strict=True)]
    output_sizes = spatial(operation.outputs[0].shape.as_list())[-rank:]
    return [slide.transposed_rule(axis.size, size) for slide, axis, size in zip(each, axes, output_sizes, strict=True)]
