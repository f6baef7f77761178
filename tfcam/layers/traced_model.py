"""What is found out of a model: traced once for each signature of its inputs, and shared by all that explain it."""

from __future__ import annotations

import threading
from typing import Any
from weakref import WeakValueDictionary

from tfcam.backend.snapshot import Snapshot, contents
from tfcam.backend.symbolic_call import SymbolicRun, run_symbolically
from tfcam.layers.trace import Trace, trace


class TracedModel:
    """A model as it is now: its run on TensorSpecs, and its layer calls, each found once.

    Attributes
    ----------
    lock : threading.RLock
        Held while anything of it is traced.
    snapshot : Snapshot
        The model when it was looked at last.
    """

    #: By the model's id; they live as long as those that hold them, since they hold the model themselves.
    _all: WeakValueDictionary[int, TracedModel] = WeakValueDictionary()
    _lock = threading.RLock()

    def __init__(self, model: Any) -> None:
        self.model = model
        self.lock = threading.RLock()
        self._runs: dict[str, SymbolicRun] = {}
        self._traces: dict[str, Trace] = {}
        self.look()

    @classmethod
    def of(cls, model: Any) -> TracedModel:
        """Return that of a model, which others may hold too; a new one where the model is no longer as it was."""
        with cls._lock:
            entry = cls._all.get(id(model))
            if entry is None or not entry.is_current():
                entry = cls._all[id(model)] = cls(model)
            return entry

    def forget(self) -> None:
        """Let nobody else be given this one."""
        with self._lock:
            if self._all.get(id(self.model)) is self:
                del self._all[id(self.model)]

    def look(self) -> None:
        """Take the model for what it is now, as after its Python ran, which may count its calls."""
        self.snapshot, self._contents = Snapshot(self.model), contents(self.model)

    def is_current(self) -> bool:
        """Whether the model is as it was when it was looked at, and holds what it did then."""
        return self.snapshot.shows(self.model) and self._contents == contents(self.model)

    def run(self, specs: Any) -> SymbolicRun:
        """Return the run of the model on a structure of TensorSpecs, with room for more; then `look` at it again."""
        with self.lock:
            key = repr(specs)
            entry = self._runs.get(key)
            if entry is None or (entry.opened and entry.opened.is_full):
                entry = self._runs[key] = run_symbolically(self.model, specs)
            return entry

    def trace(self, specs: Any) -> Trace:
        """Return the layer calls of that run, and what its outputs are."""
        with self.lock:
            key = repr(specs)
            if key not in self._traces:
                self._traces[key] = trace(self.model, specs, self.run(specs))
                self.look()
            return self._traces[key]
