"""Batches of inputs and targets, from arrays, datasets and loaders, and the maps of batches as one tensor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby, islice
from typing import Any

import numpy as np
import tensorflow as tf

from tfcam.data.input_spec import InputSpec
from tfcam.data.validation import as_array, batch_size_of, is_loader, is_read_in_batches, length_of

#: Maps are collected in blocks of about this many bytes. The system gets a block of this size back as soon as it is
#: freed; TensorFlow keeps what its own tensors took.
_BLOCK = 64 * 2**20
#: TensorFlow reads memory that starts at a multiple of this many bytes where it lies.
_ALIGNMENT = 64


class EmptyDataset(ValueError):
    """A dataset or a loader that holds no image."""


def batches(inputs: Any, targets: Any, input_spec: InputSpec, batch_size: int) -> Iterator[tuple[Any, Any]]:
    """Yield ``(inputs, targets)`` of at most so many images, from arrays, a dataset or a loader."""
    if not is_read_in_batches(inputs):
        yield from _slices(input_spec.tensors(inputs), targets, batch_size)
        return
    if targets is not None:
        raise ValueError(
            f"labels were given twice: a {'dataset' if isinstance(inputs, tf.data.Dataset) else 'loader'} holds them "
            "itself, as pairs (x, y). Call explain(dataset), or explain(x, y) with arrays."
        )
    empty = True
    for x, y in _elements(inputs, input_spec, batch_size):
        empty = False
        yield from _slices(input_spec.tensors(x), None if isinstance(y, tuple) and not y else y, batch_size)
    if empty:
        raise EmptyDataset("The dataset is empty: there is no image to explain.")


def pairs(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Return a dataset of ``(x, y)`` from one of ``x``, ``(x, y)`` or ``(x, y, weight)``; y may be ()."""
    element = dataset.element_spec
    if isinstance(element, tuple) and len(element) in (2, 3):
        return dataset.map(lambda x, y, *_: (x, y))
    return dataset.map(lambda x: (x, ()))


def batch_specs(dataset: tf.data.Dataset, input_spec: InputSpec) -> tuple[Any, Any]:
    """Return the TensorSpecs of the ``(x, y)`` that a dataset's batches are, once the model's inputs are known."""
    x, y = pairs(dataset).element_spec
    if tf.nest.flatten(x)[0].shape.rank != input_spec.rank:
        x, y = tf.nest.map_structure(lambda spec: tf.TensorSpec((None, *spec.shape), spec.dtype), (x, y))
    return input_spec.batch_specs(x), y


def _elements(inputs: Any, input_spec: InputSpec, batch_size: int) -> Iterable[tuple[Any, Any]]:
    """Return the batches of a dataset or a loader, or batches of their images."""
    if is_loader(inputs):
        elements = _elements_of(inputs, not isinstance(input_spec.declared, (list, tuple)))
    else:
        dataset = pairs(inputs)
        shapes = [spec.shape for spec in tf.nest.flatten(dataset.element_spec)]
        rank = input_spec.rank
        if rank is not None and shapes[0].rank is not None:
            if shapes[0].rank not in (rank, rank - 1):
                raise ValueError(
                    f"The dataset's images have the shape {shapes[0]}, the model takes batches of rank {rank}."
                )
            if shapes[0].rank == rank - 1 and all(shape.is_fully_defined() for shape in shapes):
                return dataset.batch(batch_size).prefetch(1)
        elements = iter(dataset.prefetch(1))
    first = list(islice(elements, 1))
    all_of_them = chain(first, elements)
    return _grouped(all_of_them, batch_size) if first and input_spec.is_one_image(first[0][0]) else all_of_them


def _elements_of(loader: Any, takes_one_input: bool) -> Iterator[tuple[Any, Any]]:
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


def _read(loader: Any) -> Iterator[Any]:
    """Yield what a loader gives, to its end where it has one."""
    length = length_of(loader)
    if length is not None and hasattr(loader, "__getitem__"):
        # Those of Keras are sequences, whose iterators may start again at the end.
        return (loader[index] for index in range(length))
    return iter(loader)


def _grouped(elements: Iterable[Any], batch_size: int) -> Iterator[Any]:
    """Yield batches of images that follow one another and have one size."""
    for _, alike in groupby(elements, key=lambda element: [np.shape(part) for part in tf.nest.flatten(element)]):
        while part := list(islice(alike, batch_size)):
            yield tf.nest.map_structure(lambda *tensors: tf.stack(tensors), *part)


def _with_arrays(targets: Any) -> Any:
    """Return targets with lists, and tuples of numbers, as arrays: to tf.nest they would be structures."""
    if isinstance(targets, dict):
        return {name: _with_arrays(part) for name, part in targets.items()}
    if isinstance(targets, tf.RaggedTensor):
        return _rows(targets.to_list())
    of_numbers = isinstance(targets, tuple) and all(np.ndim(part) == 0 for part in targets)
    if not (of_numbers or isinstance(targets, list)):
        return targets
    return np.asarray(targets) if len({np.shape(part) for part in targets}) < 2 else _rows(targets)


def _rows(lists: Sequence[Any]) -> np.ndarray:
    """Return lists of any lengths as an array of lists."""
    rows = np.empty(len(lists), object)
    for row, one in enumerate(lists):
        rows[row] = one
    return rows


def _slices(inputs: Any, targets: Any, batch_size: int) -> Iterator[tuple[Any, Any]]:
    count = batch_size_of(inputs)
    targets = _with_arrays(targets)
    for part in (
        [] if targets is None else tf.nest.flatten(targets) if isinstance(targets, (dict, tuple)) else [targets]
    ):
        if np.ndim(part) > 0 and np.shape(part)[0] != count:
            raise ValueError(f"{np.shape(part)[0]} targets were given for {count} images; there must be one for each.")
    for start in range(0, count, batch_size):
        stop = min(start + batch_size, count)
        if (start, stop) == (0, count):
            yield inputs, targets
        else:
            yield _sliced(inputs, start, stop), targets if targets is None else _sliced(targets, start, stop)


def _sliced(parts: Any, start: int, stop: int) -> Any:
    return tf.nest.map_structure(lambda part: part if np.ndim(part) == 0 else part[start:stop], parts)


def gathered(parts: Iterable[tf.Tensor]) -> tf.Tensor:
    """Return the float32 parts, ``(n, *shape)`` each, as one tensor ``(N, *shape)``.

    However many they are, about one block is held beside the result: the memory of the whole comes into use page by
    page, while the blocks are copied into it and freed.
    """
    parts = iter(parts)
    two = list(islice(parts, 2))
    if len(two) == 1:
        return two[0]
    blocks = list(_blocks(chain(two, parts)))
    if len(blocks) == 1:
        return _as_tensor(blocks[0])
    whole = _empty(sum(map(len, blocks)), blocks[0].shape[1:])
    filled = 0
    while blocks:
        block = blocks.pop(0)
        whole[filled : filled + len(block)] = block
        filled += len(block)
    return _as_tensor(whole)


def _blocks(parts: Iterable[tf.Tensor]) -> Iterable[np.ndarray]:
    """Yield the parts, joined to blocks."""
    block, filled = _empty(0, ()), 0
    shape: tf.TensorShape | None = None
    for part in parts:
        shape = part.shape[1:] if shape is None else shape
        if part.shape[1:] != shape:
            raise ValueError(
                f"The images have different sizes: maps of {tuple(shape[:-1])} and {tuple(part.shape[1:-1])} do not "
                "fit one tensor. Use explainer.stream(dataset), which yields each batch as it is."
            )
        if filled + len(part) > len(block):
            if filled:
                yield block[:filled]
            rows = _BLOCK // max(1, 4 * shape.num_elements())
            block, filled = _empty(max(rows, len(part)), tuple(shape)), 0
        block[filled : filled + len(part)] = part
        filled += len(part)
    yield block[:filled]


def _empty(rows: int, shape: tuple[int, ...]) -> np.ndarray:
    """Return a float32 array ``(rows, *shape)`` whose memory is not in use before it is written to."""
    size = 4 * rows * int(np.prod(shape))
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + size].view(np.float32).reshape(rows, *shape)


def _as_tensor(array: np.ndarray) -> tf.Tensor:
    """Return a tensor of the memory of an array."""
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
