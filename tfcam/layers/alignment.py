"""Where the cells of a layer lie on the input, and maps placed there."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import tensorflow as tf

from tfcam.graph.receptive_axis import Axis
from tfcam.graph.receptive_field import Field
from tfcam.layers.trace import LayerCall
from tfcam.ops.resize import Kernel, Matrix, PlacedMatrix, cubic

#: What ``align=`` takes: a name, offset and jump, or effective fields.
Align: TypeAlias = "str | EffectiveField | Sequence[Any] | None"

#: The largest remainder of an open size for which places are tabled; models pad by their strides, 32 mostly.
_LARGEST_MODULUS = 512


class Places(NamedTuple):
    """Where the cells along one axis lie on that of the input; numbers, or scalar tensors where its size is open.

    Attributes
    ----------
    first : float
        Which of the input's cells the middle of the first cell is.
    jump : float
        How many of the input's cells lie between two.
    low, high : float
        The first of the input's cells that any of them sees, and the one behind the last.
    """

    first: float | tf.Tensor
    jump: float | tf.Tensor
    low: float | tf.Tensor
    high: float | tf.Tensor


class Cells(NamedTuple):
    """The cells of a tensor that no layer puts out."""

    address: str
    placed_at: Callable[[Sequence[int | None]], Field | None]


#: What has cells to be placed.
Owner: TypeAlias = "LayerCall | Cells"


@dataclass(frozen=True)
class EffectiveField:
    """What the cells of a layer see of images in effect: where the energy of their gradients lies, along each axis.

    Attributes
    ----------
    layer : str
        Path of the layer.
    stride : tuple of float
        How many of the input's cells lie between two of the layer's.
    centre : tuple of float
        Which of the input's cells, counted from 0, the middle of the energy is at for the first cell of the layer, as
        those in the middle of the grid tell.
    error : tuple of float
        The standard error of that.
    spread : tuple of float
        The standard deviation of the energy around its middle, in cells of the input.
    moved : tuple of float or None
        How far that is from where arithmetic places the cell; None where that is not defined.
    """

    layer: str
    stride: tuple[float, ...]
    centre: tuple[float, ...]
    error: tuple[float, ...]
    spread: tuple[float, ...]
    moved: tuple[float, ...] | None

    def finding(self) -> str:
        """Return what is worth a warning of cells that are placed by it; empty where nothing is."""
        if self.moved is None or all(abs(by) <= step for by, step in zip(self.moved, self.stride, strict=True)):
            return ""
        by = " and ".join(f"{by:.0f}" for by in self.moved)
        return (
            f"the gradient has the cells of {self.layer!r} {by} pixels from the middle of what they can see, more than "
            "a cell, as where a border or a few pixels outweigh all others: look at effective_fields(images), or take "
            "align='arithmetic'"
        )


@dataclass(frozen=True)
class Alignment:
    """How the cells of layers are placed: by arithmetic, unless offset and jump are given, or fields were measured.

    Attributes
    ----------
    offset_and_jump : tuple of (tuple of float) or None
        Offset and jump of every layer, each along each axis, or one for all of them.
    measurements : tuple of EffectiveField
    needs_measurement : bool
        Whether the fields of the explained layers are to be measured first.
    """

    offset_and_jump: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    measurements: tuple[EffectiveField, ...] = ()
    needs_measurement: bool = False

    def places(self, call: Owner, source: tf.Tensor) -> list[Places]:
        """Return where the cells of a layer lie on its source ``(N, *input_grid, C)``, along each axis.

        Raises
        ------
        ValueError
            Where that is not known.
        """
        sizes = source.shape.as_list()[1:-1]
        field = next((field for field in self.measurements if field.layer == call.address), None)
        if self.offset_and_jump:
            return _regular_places(*self.offset_and_jump, len(sizes))
        if field and field.moved is None:
            return _regular_places(field.centre, field.stride, len(sizes))
        places = _constant(call, sizes) if None not in sizes else _open(call, source)
        if field and field.moved:
            places = [
                Places(place.first + by, place.jump, place.low, place.high)
                for place, by in zip(places, field.moved, strict=True)
            ]
        return places

    def matrices(self, call: Owner, to: Owner | None, source: tf.Tensor, kernel: Kernel = cubic) -> list[Matrix]:
        """Return what resizes the axes of a layer's maps to those of another layer, or of the input."""
        there = self.places(to, source) if to else [_ITSELF] * (source.shape.rank - 2)
        return [
            PlacedMatrix(here.first, here.jump, here.low, here.high, new.first, new.jump, kernel)
            for here, new in zip(self.places(call, source), there, strict=True)
        ]

    def mirror_matrices(self, call: Owner, source: tf.Tensor, cells: tf.Tensor) -> list[Matrix]:
        """Return what moves maps whose last axis was reversed from where their cells then lie to where they belong."""
        *_, last = places = self.places(call, source)
        first = tf.cast(tf.shape(source)[-2] - 1, tf.float32) - last.first - last.jump * tf.cast(cells - 1, tf.float32)
        stay = [PlacedMatrix(*_ITSELF, 0.0, 1.0) for _ in places[:-1]]
        return [*stay, PlacedMatrix(first, last.jump, -math.inf, math.inf, last.first, last.jump)]


#: Where the cells of the input lie.
_ITSELF = Places(0.0, 1.0, -math.inf, math.inf)


def _regular_places(offset: tuple[float, ...], jump: tuple[float, ...], rank: int) -> list[Places]:
    for each in (offset, jump):
        if len(each) not in (1, rank):
            raise ValueError(
                f"align={offset, jump} has {len(each)} numbers for offset or jump, and the grid {rank} axes: give one "
                "for all of them, or one for each."
            )
    along = (each * rank if len(each) == 1 else each for each in (offset, jump))
    return [Places(first, step, -math.inf, math.inf) for first, step in zip(*along, strict=True)]


def _constant(call: Owner, sizes: Sequence[int]) -> list[Places]:
    """Return where cells lie on an input of these sizes."""
    field = call.placed_at(sizes)
    middles = None if field is None else field.middles
    if field is None or middles is None:
        raise ValueError(
            f"resize='aligned' places cells by what they see, and for conv_layer {call.address!r} the model's "
            "operations do not tell it: an attention, a loop, or an operation that is not known stands before it. Take "
            "align='effective', which measures it, or align=(offset, jump), or resize=True."
        )
    return [_place(axis, middle) for axis, middle in zip(field.axes, middles, strict=True)]


def _place(axis: Axis, middle: float) -> Places:
    low, high = (
        (-math.inf, math.inf) if axis.ends is None else (float(axis.ends[:, 0].min()), float(axis.ends[:, 1].max()))
    )
    return Places(middle, float(axis.stride), low, high)


def _open(call: Owner, source: tf.Tensor) -> list[Places]:
    """Return where cells lie on an input of open sizes, by a table of the sizes' remainders."""
    shape, sizes = tf.shape(source), source.shape.as_list()[1:-1]
    field = call.placed_at([size or 256 for size in sizes])
    modulus = math.lcm(*(axis.modulus for axis in field.axes)) if field else 1
    if modulus > _LARGEST_MODULUS:
        raise ValueError(
            f"resize='aligned' cannot place conv_layer {call.address!r} for images of any size, which its model pads "
            f"in {modulus} ways: build it for images of one size."
        )

    def table(base: int) -> np.ndarray:
        """Return the places ``(modulus, axes, 4)`` for the sizes from base on."""
        rows = [_constant(call, [size or base + remainder for size in sizes]) for remainder in range(modulus)]
        return np.array(rows, np.float64)

    # Between two sizes of one remainder, all that changes is how far the cells reach, and what a resizing within the
    # model to one size makes of them: in proportion.
    base = modulus * math.ceil(512 / modulus)
    start, later = table(base), table(2 * base)
    slope = (later - start) / base
    if slope[..., 1].any():
        # What a resizing reads depends on the size in steps: no border is told.
        start[..., 2:], slope[..., 2:] = (-math.inf, math.inf), 0.0
    places = []
    for axis, size in enumerate(sizes):
        n = shape[axis + 1]
        remainder = n % modulus if size is None else 0
        beyond = tf.cast(n - base - remainder if size is None else 0, tf.float32)
        row = tf.gather(tf.constant(start[:, axis], tf.float32), remainder)
        row += beyond * tf.gather(tf.constant(slope[:, axis], tf.float32), remainder)
        places.append(Places(*tf.unstack(row)))
    return places


def find_alignment(align: Any) -> Alignment:
    """Return how ``align=`` places cells."""
    if align is None or (isinstance(align, str) and align in ("arithmetic", "effective")):
        return Alignment(needs_measurement=align == "effective")
    if isinstance(align, EffectiveField):
        return Alignment(measurements=(align,))
    several = list(align) if isinstance(align, (list, tuple)) else []
    if several and all(isinstance(one, EffectiveField) for one in several):
        return Alignment(measurements=tuple(several))
    try:
        offset, jump = (tuple(float(x) for x in np.atleast_1d(one)) for one in several)
    except (TypeError, ValueError):
        raise ValueError(
            f"align={align!r} is none of 'arithmetic', 'effective', (offset, jump), and what effective_fields() gives."
        ) from None
    if not all(step > 0 for step in jump):
        raise ValueError(f"align={align!r}: jump is how many pixels lie between two cells, above 0.")
    return Alignment(offset_and_jump=(offset, jump))
