"""Names of the calls of a run's layers, and of what they were called on."""

from __future__ import annotations

from collections import Counter
from typing import Any

import tensorflow as tf

from tfcam.backend.symbolic_call import SymbolicRun
from tfcam.graph.op_types import op_type
from tfcam.graph.traversal import slice_index


class CallNames:
    """The addresses of a run's calls, and its tensors in words: an input, a layer's output, a slice of it."""

    def __init__(self, run: SymbolicRun) -> None:
        self._arguments, self._counts = run.given, Counter(id(call.layer) for call in run.seen)
        self._names = {call.output.op: self.address(call.layer, call.path, call.nth) for call in run.seen}
        several = len(run.inputs) > 1
        self._names |= {one.op: f"input {index}" if several else "input" for index, one in enumerate(run.inputs)}

    def address(self, layer: Any, path: str, nth: int) -> str:
        """Return the path of a call; with ``@nth`` where its layer is called more than once."""
        return f"{path}@{nth}" if self._counts[id(layer)] > 1 else path

    def arguments(self, layer: Any, nth: int) -> str:
        """Return what a layer that is called more than once was called on; else nothing."""
        tensors = self._arguments.get((id(layer), nth), []) if self._counts[id(layer)] > 1 else []
        return ", ".join(map(self._name, tensors))

    def _name(self, tensor: tf.Tensor) -> str:
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
