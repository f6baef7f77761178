"""Readable names of the tensors of a graph."""

from __future__ import annotations

from collections import Counter
from typing import Any

import tensorflow as tf

from tfcam.backend.symbolic_call import SymbolicRun
from tfcam.graph.op_types import op_type
from tfcam.graph.traversal import slice_index


class NamedTensors:
    """What the tensors of a run are, in words: an input, what a layer put out, a slice of it."""

    def __init__(self, run: SymbolicRun, counts: Counter[int]) -> None:
        several = len(run.inputs) > 1
        self._names = {
            call.output.op: f"{call.path}@{call.nth}" if counts[id(call.layer)] > 1 else call.path for call in run.seen
        }
        self._names |= {one.op: f"input {index}" if several else "input" for index, one in enumerate(run.inputs)}

    def names(self, tensors: list[tf.Tensor]) -> str:
        """Return what a layer was called on."""
        return ", ".join(map(self._of, tensors))

    def _of(self, tensor: tf.Tensor) -> str:
        slices = ""
        while True:
            index = slice_index(tensor.op)
            if index is not None:
                slices = f"[{', '.join(map(_text, index))}]{slices}"
            elif tensor.op in self._names:
                return self._names[tensor.op] + slices
            elif not op_type(tensor.op).rearranges:
                return f"a {tensor.op.type} of the model's own{slices}"
            tensor = tensor.op.inputs[0]


def _text(part: Any) -> str:
    """Return a part of an index as it is written."""
    if not isinstance(part, slice):
        return "..." if part is Ellipsis else str(part)
    first, last = ("" if bound is None else bound for bound in (part.start, part.stop))
    return f"{first}:{last}" + ("" if part.step == 1 else f":{part.step}")
