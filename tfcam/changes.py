"""Whether a model was changed after it was traced: what is traced knows the layers as they were."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

from tfcam.keras_versions import layers_of, settings_of


class Snapshot:
    """What the layers of a model compute with, beside the values of their weights.

    That is: which layers there are, their variables and dtype policies, and their public attributes that are numbers,
    strings, tuples or functions. What a list of the user's own holds is not looked at.
    """

    def __init__(self, model: Any) -> None:
        self._layers = layers_of(model)
        # Every layer has a policy, so there is a name for each.
        self._readers = [itemgetter(*settings_of(layer)) for layer in self._layers]
        # What is held here keeps its address: no other value can have it.
        self._values = self._read()
        self._addresses = list(map(id, self._values))

    def shows(self, model: Any) -> bool:
        """Whether the model is still as it was."""
        layers = layers_of(model)
        if len(layers) != len(self._layers) or any(a is not b for a, b in zip(layers, self._layers, strict=True)):
            return False
        try:
            values = self._read()
        except KeyError:
            return False
        return list(map(id, values)) == self._addresses or all(map(_is_same, values, self._values))

    def _read(self) -> list[Any]:
        values: list[Any] = []
        for reader, layer in zip(self._readers, self._layers, strict=True):
            values.extend(reader(vars(layer)))
        return values


def _is_same(one: Any, other: Any) -> bool:
    return one is other or (isinstance(one, (int, float, str, tuple)) and type(one) is type(other) and one == other)
