"""Effective receptive fields: where the gradients of a layer's cells come from, measured on images."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from tfcam.alignment import EffectiveField
from tfcam.instrument import InstrumentedModel
from tfcam.loops import in_turn
from tfcam.run import Run
from tfcam.trace import LayerCall

#: The share of the cells, in the middle of the grid, whose fields are measured: those of others end at a border.
_MIDDLE = 0.4


def effective_fields(
    instrumented: InstrumentedModel, batches: Iterable[Any], samples: int, seed: int
) -> list[EffectiveField]:
    """Return the effective fields of the explained layers, from so many cells of each image."""

    def compute(inputs: Any) -> list[tf.Tensor]:
        run = Run(instrumented, inputs, ())
        count = len(instrumented.layers)
        each = in_turn(
            lambda sample: _moments(run.rerun(run.source()), sample, seed), tf.range(samples), [tf.float32] * count
        )
        return [tf.reshape(one, [-1, *one.shape[2:]]) for one in each]

    traced = tf.function(compute, autograph=False)
    found: list[list[np.ndarray]] = []
    for batch in batches:
        shapes = [tuple(one.shape) for one in tf.nest.flatten(batch)]
        found.append([one.numpy() for one in traced(batch)])
    return [
        _field(call, np.concatenate([each[layer] for each in found]), shapes[call.source.index])
        for layer, call in enumerate(instrumented.layers)
    ]


def _moments(run: Run, sample: tf.Tensor, seed: int) -> list[tf.Tensor]:
    """Return of each layer, for a cell of each image, ``(N, axes, 4)``.

    Along each axis: its number, the middle of the energy of its gradient, the square of its spread, and all of it.
    """
    found = []
    for layer, activations in enumerate(run.activations):
        grid = tf.unstack(tf.shape(activations)[1:-1])
        drawn = tf.random.stateless_uniform([len(grid)], tf.stack([seed, sample]))
        cell = tf.stack([_middle(size, place) for size, place in zip(grid, tf.unstack(drawn), strict=True)])
        channels = activations.shape[-1] or tf.shape(activations)[-1]
        mixture = tf.random.stateless_normal([channels], tf.stack([seed + 1, sample]))
        of_cell = tf.gather_nd(tf.transpose(activations, _cells_first(activations)), cell[None])[0]
        values = tf.linalg.matvec(of_cell, mixture)
        [gradient] = run.at([layer]).gradients_of_inputs(values, [])
        if gradient is None:
            raise ValueError(
                "The effective field is that of the gradient, and this input has none, such as the words of a text."
            )
        energy = tf.reduce_sum(tf.cast(gradient, tf.float32) ** 2, axis=-1)
        found.append(tf.stack([_along(energy, axis, cell[axis]) for axis in range(len(grid))], axis=1))
    return found


def _cells_first(activations: tf.Tensor) -> list[int]:
    rank = activations.shape.rank
    return [*range(1, rank - 1), 0, rank - 1]


def _middle(size: tf.Tensor, place: tf.Tensor) -> tf.Tensor:
    """Return the number of a cell of the middle ones, by a number between 0 and 1."""
    size = tf.cast(size, tf.float32)
    first = tf.floor(size * (1.0 - _MIDDLE) / 2.0)
    return tf.cast(first + tf.floor(place * tf.maximum(size - 2.0 * first, 1.0)), tf.int32)


def _along(energy: tf.Tensor, axis: int, cell: tf.Tensor) -> tf.Tensor:
    others = [other for other in range(1, energy.shape.rank) if other != axis + 1]
    shares = tf.reduce_sum(energy, axis=others)
    places = tf.range(tf.shape(shares)[1], dtype=tf.float32)
    total = tf.reduce_sum(shares, axis=1)
    shares = tf.math.divide_no_nan(shares, total[:, None])
    middle = tf.linalg.matvec(shares, places)
    square = tf.reduce_sum(shares * (places - middle[:, None]) ** 2, axis=1)
    return tf.stack([tf.fill(tf.shape(middle), tf.cast(cell, tf.float32)), middle, square, total], axis=1)


def _field(call: LayerCall, moments: np.ndarray, shape: tuple[int, ...]) -> EffectiveField:
    """Return the field of a layer from ``(samples, axes, 4)``, on inputs of this shape."""
    moments = moments[(moments[..., 3] > 0).all(axis=1)]
    if not len(moments):
        raise ValueError(f"No cell of conv_layer {call.address!r} has a gradient on these images: are they all black?")
    grid = call.source.layout.grid(shape)
    field = call.field_at(grid)
    if field:
        strides = [float(stride) for stride in field.strides]
    else:
        strides = [(size or 1) / (cells or 1) for size, cells in zip(grid, call.grid, strict=True)]
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
