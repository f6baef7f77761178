"""The graphs of the functions that a graph calls."""

from __future__ import annotations

from typing import Any

from tensorflow.python.framework.function_def_to_graph import function_def_to_graph


class FunctionBodies:
    """The bodies of the functions of a graph, by name, each read once."""

    def __init__(self, graph: Any) -> None:
        self._graph, self._definitions, self._bodies = graph, dict[str, Any](), dict[str, Any]()

    def __getitem__(self, name: str) -> Any:
        """Return the graph of a function: its inputs are the tensors `inputs`, its outputs `outputs`."""
        if name not in self._bodies:
            if not self._definitions:
                library = self._graph.as_graph_def().library.function
                self._definitions = {function.signature.name: function for function in library}
            with self._graph.as_default():
                self._bodies[name] = function_def_to_graph(self._definitions[name])
        return self._bodies[name]
