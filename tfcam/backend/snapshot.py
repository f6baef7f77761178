"""A snapshot of a model's structure, which shows whether the model has changed since it was traced."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from operator import is_, itemgetter
from typing import Any

import numpy as np

from tfcam.backend.keras_compat import is_of_keras, layers_of, own_attributes, settings_of


class Snapshot:
    """What the layers of a model compute with, beside the values of their weights.

    That is: which layers there are, their variables and dtype policies, and their public attributes that are numbers,
    strings, tuples or functions. What a list of the user's own holds is not looked at, as `contents` does.
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


def contents(model: Any) -> list[Any]:
    """Return what the layers of the user's own classes hold, lists and objects included, and the functions they call.

    It takes longer to tell than a `Snapshot`, and is what a trace must not differ in to be that of a model. Two of them
    are equal where nothing was changed or exchanged.
    """
    mine = [layer for layer in layers_of(model) if not is_of_keras(layer)]
    return [(_Same(type(layer).call), _content(own_attributes(layer), 0)) for layer in mine]


#: How deep objects are looked into, and how many things one may hold.
_DEPTH, _MOST = 5, 10_000


def _content(value: Any, depth: int) -> Any:
    if isinstance(value, (bool, int, float, complex, str, bytes, type(None))):
        return type(value), value
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype.str, hash(value.tobytes())
    if depth == _DEPTH or (isinstance(value, (dict, list, tuple)) and len(value) > _MOST):
        return _Same(value)
    if isinstance(value, dict):
        return [(key, _content(one, depth + 1)) for key, one in value.items()]
    if isinstance(value, (list, tuple)):
        return [_content(one, depth + 1) for one in value]
    if hasattr(value, "__dict__") and not (is_of_keras(value) or callable(value)):
        return _Same(type(value)), _content(vars(value), depth + 1)
    return _Same(value)


class _Same:
    """A value that only itself is equal to."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self._value is other._value

    __hash__ = None  # type: ignore[assignment]
