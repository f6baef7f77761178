"""A model with random weights in some of its layers, for the length of a with-block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tfcam.backend.keras_compat import layers_of


class RandomizedWeights:
    """The layers of a model that have weights, and other weights for them.

    A layer's own initializers draw them, each from a seed of its own; where a layer cannot be made again from its
    configuration, the numbers of each of its weights are shuffled.

    Parameters
    ----------
    model : keras.Model or tf_keras.Model
    called : iterable of layers
        In the order in which the model calls them.
    seed : int
    """

    def __init__(self, model: Any, called: Iterable[Any], seed: int) -> None:
        #: The layers that have weights of their own, from the input to the output.
        self.layers: list[Any] = []
        self._fresh: list[list[tuple[Any, np.ndarray]]] = []
        there = layers_of(model)
        ordered = {id(layer): layer for layer in [*called, *there] if any(layer is one for one in there)}
        known: set[int] = set()
        for number, layer in enumerate(ordered.values()):
            weights = [one for one in _own(layer) if id(one) not in known]
            known |= {id(one) for one in weights}
            if weights:
                self.layers.append(layer)
                self._fresh.append(_random_values(layer, weights, [seed, number]))
        if not self.layers:
            raise ValueError(f"Model {model.name!r} has no weights, so there are none to draw anew.")

    @contextmanager
    def at(self, indices: Iterable[int]) -> Iterator[None]:
        """Give the model new weights in these of the layers, and then its own again."""
        pairs = [pair for index in indices for pair in self._fresh[index]]
        before = [weight.numpy().copy() for weight, _ in pairs]
        try:
            for weight, value in pairs:
                weight.assign(value)
            yield
        finally:
            for (weight, _), value in zip(pairs, before, strict=True):
                weight.assign(value)


def _own(layer: Any) -> list[Any]:
    """Return the floating weights of a layer that are of none of the layers within it."""
    within = {id(weight) for inner in layers_of(layer) if inner is not layer for weight in inner.weights}
    return [one for one in layer.weights if id(one) not in within and "float" in str(one.dtype)]


def _random_values(layer: Any, weights: list[Any], seed: list[int]) -> list[tuple[Any, np.ndarray]]:
    values = _by_its_initializers(layer, weights, seed)
    if values is None:
        random = np.random.default_rng(seed)
        values = [random.permuted(one.numpy().ravel()).reshape(tuple(one.shape)) for one in weights]
    return list(zip(weights, values, strict=True))


def _by_its_initializers(layer: Any, weights: list[Any], seed: list[int]) -> list[np.ndarray] | None:
    """Return what a new layer of the same configuration has for its weights; None where it cannot be made."""
    try:
        twin = type(layer).from_config(_seeded(layer.get_config(), int(np.random.default_rng(seed).integers(2**31))))
        twin.build_from_config(layer.get_build_config())
        places = {id(one): place for place, one in enumerate(layer.weights)}
        values = [twin.weights[places[id(one)]].numpy() for one in weights]
    except (TypeError, ValueError, AttributeError, NotImplementedError, LookupError):
        return None
    shapes = [tuple(one.shape) for one in weights]
    return values if [value.shape for value in values] == shapes else None


def _seeded(config: Any, seed: int, name: str = "") -> Any:
    """Return a configuration whose initializers have this seed, each another for its name."""
    if isinstance(config, dict):
        return {
            key: (seed + sum(map(ord, name))) % 2**31
            if key == "seed" and "initializer" in name
            else _seeded(value, seed, key if "initializer" in key else name)
            for key, value in config.items()
        }
    return [_seeded(one, seed, name) for one in config] if isinstance(config, list) else config
