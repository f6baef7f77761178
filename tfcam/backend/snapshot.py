"""A snapshot of a model's structure, which shows whether the model has changed since it was traced."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from operator import is_, itemgetter
from typing import Any

from tfcam.backend.keras_compat import layers_of, settings_of


class Snapshot:
    """What the layers of a model compute with, beside the values of their weights.

    That is: which layers there are, their variables and dtype policies, and their public attributes that are numbers,
    strings, tuples or functions. What a list of the user's own holds is not looked at.
    """

    def __init__(self, model: Any) -> None:
        self._layers = layers_of(model)
        # A call of every explainer asks this, so that most of it is left to functions written in C.
        self._readers = [itemgetter(*settings_of(layer)) for layer in self._layers]
        self._values = list(self._read())

    def shows(self, model: Any) -> bool:
        """Whether the model is still as it was."""
        layers = layers_of(model)
        if len(layers) != len(self._layers) or not all(map(is_, layers, self._layers)):
            return False
        try:
            return all(map(is_, self._read(), self._values)) or all(map(_is_same, self._read(), self._values))
        except KeyError:
            return False

    def _read(self) -> Iterator[Any]:
        return chain.from_iterable(
            reader(vars(layer)) for reader, layer in zip(self._readers, self._layers, strict=True)
        )


def _is_same(one: Any, other: Any) -> bool:
    return one is other or (isinstance(one, (int, float, str, tuple)) and type(one) is type(other) and one == other)
