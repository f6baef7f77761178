"""Effective receptive fields, measured: where the gradients of a layer's cells lie on images."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from tfcam.backend.symbolic_call import specs_of
from tfcam.engine.instrumented_model import InstrumentedModel
from tfcam.engine.run import Run, run_of
from tfcam.layers import EffectiveField, LayerCall
from tfcam.ops.loops import in_turn

#: The share of the cells, in the middle of the grid, whose fields are measured: those of others end at a border.
_MIDDLE = 0.4


def effective_fields(
    instrumented: InstrumentedModel, batches: Iterable[Any], samples: int, seed: int
) -> list[EffectiveField]:
    """Return the effective fields of the explained layers, from so many cells of each image."""

    def compute(first: tf.Tensor, *flat: tf.Tensor) -> list[tf.Tensor]:
        run = run_of(instrumented, instrumented.run(tf.nest.pack_sequence_as(structure, flat)), ())
        count = len(instrumented.layers)

        def sampled(number: tf.Tensor) -> list[tf.Tensor]:
            return _moments(run.rerun(run.source()), tf.stack([seed, first + number]))

        each = in_turn(sampled, tf.range(samples), [tf.float32] * count)
        return [tf.reshape(one, [-1, *one.shape[2:]]) for one in each]

    functions: dict[str, Any] = {}
    found: list[list[np.ndarray]] = []
    for number, batch in enumerate(batches):
        structure, flat = specs_of(batch), tf.nest.flatten(batch)
        if repr(structure) not in functions:
            traced = tf.function(compute, autograph=False)
            functions[repr(structure)] = traced.get_concrete_function(
                tf.TensorSpec((), tf.int32), *tf.nest.flatten(structure)
            )
        shapes = [tuple(one.shape) for one in flat]
        found.append([one.numpy() for one in functions[repr(structure)](tf.constant(number * samples), *flat)])
    return [
        _field(call, np.concatenate([each[layer] for each in found]), shapes[call.input_grid.index])
        for layer, call in enumerate(instrumented.layers)
    ]


def _moments(run: Run, seed: tf.Tensor) -> list[tf.Tensor]:
    """Return of each layer, for a cell of each image and a mixture of its channels, ``(N, axes, 4)``.

    Along each axis: its number, the middle of the energy of its gradient, the square of its spread, and all of it.
    """
    found = []
    for layer, activations in enumerate(run.activations):
        count, *grid, channels = tf.unstack(tf.shape(activations))
        drawn = tf.unstack(tf.random.stateless_uniform([count, len(grid)], seed), axis=1)
        cells = tf.stack([_middle(size, place) for size, place in zip(grid, drawn, strict=True)], axis=1)
        mixtures = tf.random.stateless_normal([count, channels], seed)
        values = tf.reduce_sum(tf.gather_nd(activations, cells, batch_dims=1) * mixtures, axis=-1)
        [gradient] = run.at([layer]).gradients_of_inputs(values, [])
        if gradient is None:
            raise ValueError(
                "The effective field is that of the gradient, and this input has none, such as the words of a text."
            )
        energy = tf.reduce_sum(tf.cast(gradient, tf.float32) ** 2, axis=-1)
        # Axes of the model's own, which come last, are no part of the input.
        found.append(tf.stack([_along(energy, axis, cells[:, axis]) for axis in range(energy.shape.rank - 1)], axis=1))
    return found


def _middle(size: tf.Tensor, place: tf.Tensor) -> tf.Tensor:
    """Return the numbers of cells of the middle ones, by numbers from 0 to 1."""
    size = tf.cast(size, tf.float32)
    first = tf.floor(size * (1.0 - _MIDDLE) / 2.0)
    return tf.cast(first + tf.floor(place * tf.maximum(size - 2.0 * first, 1.0)), tf.int32)


def _along(energy: tf.Tensor, axis: int, cells: tf.Tensor) -> tf.Tensor:
    others = [other for other in range(1, energy.shape.rank) if other != axis + 1]
    shares = tf.reduce_sum(energy, axis=others)
    places = tf.range(tf.shape(shares)[1], dtype=tf.float32)
    total = tf.reduce_sum(shares, axis=1)
    shares = tf.math.divide_no_nan(shares, total[:, None])
    middle = tf.linalg.matvec(shares, places)
    square = tf.reduce_sum(shares * (places - middle[:, None]) ** 2, axis=1)
    return tf.stack([tf.cast(cells, tf.float32), middle, square, total], axis=1)


def _field(call: LayerCall, moments: np.ndarray, shape: tuple[int, ...]) -> EffectiveField:
    """Return the field of a layer from ``(samples, axes, 4)``, on inputs of this shape."""
    moments = moments[(moments[..., 3] > 0).all(axis=1)]
    if not len(moments):
        raise ValueError(f"No cell of conv_layer {call.address!r} has a gradient on these images: are they all black?")
    grid = call.input_grid.layout.grid(shape)
    field = call.field_at(grid)
    if field:
        strides = [float(stride) for stride in field.strides]
    else:
        strides = [(size or 1) / (cells or 1) for size, cells in zip(grid, call.grid, strict=False)]
    firsts = moments[..., 1] - moments[..., 0] * strides
    centre = firsts.mean(axis=0)
    known = field.middles if field else None
    return EffectiveField(
        layer=call.address,
        stride=tuple(strides),
        centre=tuple(centre.tolist()),
        error=tuple((firsts.std(axis=0) / np.sqrt(len(firsts))).tolist()),
        spread=tuple(np.sqrt(moments[..., 2].mean(axis=0)).tolist()),
        moved=None if known is None else tuple((centre - known).tolist()),
    )
