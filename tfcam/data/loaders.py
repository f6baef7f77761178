"""Loaders: iterables of batches that are neither arrays nor a tf.data.Dataset."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf


def is_loader(inputs: Any) -> bool:
    """Whether inputs are read batch by batch: a PyDataset, a DataLoader, a generator; no array and no structure."""
    if isinstance(inputs, (tf.data.Dataset, list, tuple, dict, str, bytes)) or hasattr(inputs, "shape"):
        return False
    return hasattr(inputs, "__next__") or hasattr(inputs, "__iter__") or _length(inputs) is not None


def is_read_in_batches(inputs: Any) -> bool:
    """Whether inputs are a dataset or a loader, which hold labels too."""
    return isinstance(inputs, tf.data.Dataset) or is_loader(inputs)


def require_arrays(inputs: Any, call: str) -> None:
    """Refuse datasets and loaders in a call that takes arrays."""
    if is_read_in_batches(inputs):
        raise TypeError(f"{call} takes arrays, not a dataset: call it on each batch of the dataset.")


def require_end(inputs: Any) -> None:
    """Refuse a dataset that repeats for ever, and a loader that does not say how long it is.

    Raises
    ------
    ValueError
        With the calls that work.
    """
    if isinstance(inputs, tf.data.Dataset) and int(inputs.cardinality()) == tf.data.INFINITE_CARDINALITY:
        raise ValueError(
            "The dataset never ends, so its maps fit no tensor: take off repeat(), explain dataset.take(n), or go "
            "through explainer.stream(dataset), which yields batch by batch."
        )
    if is_loader(inputs) and _length(inputs) is None:
        raise ValueError(
            f"A {type(inputs).__name__} does not tell its length, and it may never end, so its maps may fit no tensor: "
            "go through explainer.stream(loader), which yields batch by batch, or explain each batch, explain(x, y)."
        )


def elements_of(loader: Any, takes_one_input: bool) -> Iterator[tuple[Any, Any]]:
    """Yield the ``(x, y)`` of a loader, y being () where it gives none."""
    for element in _read(loader):
        # PyTorch's DataLoader gives pairs as lists.
        is_pair = isinstance(element, tuple) or (isinstance(element, list) and takes_one_input)
        if is_pair and len(element) in (2, 3):
            x, y = element[:2]
        elif is_pair and len(element) == 1:
            x, y = element[0], ()
        else:
            x, y = element, ()
        yield tf.nest.map_structure(as_array, x), tf.nest.map_structure(as_array, y)


def as_array(part: Any) -> Any:
    """Return a tensor of PyTorch as an array; anything else as it is."""
    return np.asarray(part.detach().cpu()) if hasattr(part, "detach") else part


def _read(loader: Any) -> Iterator[Any]:
    """Yield what a loader gives, to its end where it has one."""
    length = _length(loader)
    if length is not None and hasattr(loader, "__getitem__"):
        # Those of Keras are sequences, whose iterators may start again at the end.
        return (loader[index] for index in range(length))
    return iter(loader)


def _length(loader: Any) -> int | None:
    """Return of how many batches a loader is; None where it does not tell."""
    # A PyDataset without end says so, and may have a length all the same.
    if getattr(loader, "num_batches", 0) is None:
        return None
    try:
        return len(loader)
    except (TypeError, ValueError, NotImplementedError):
        return None
