"""The description of a layer: grid, stride, receptive field."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Sequence
from dataclasses import dataclass

from tfcam.graph.receptive_field import Field
from tfcam.layers.trace import LayerCall, Trace


@dataclass(frozen=True)
class LayerInfo:
    """A layer whose activations have a grid.

    Attributes
    ----------
    path : str
        What ``conv_layer=`` takes; ``@n`` marks a call of a layer that is called more than once.
    type : str
        The layer's class.
    shape : tuple of (int or None)
        Shape of the activations, batch first.
    grid : tuple of (int or None)
        Their spatial sizes: along the input's axes, in its order, and then along axes of the model's own, such as the
        frequencies of a sound.
    input_index : int
        Which of the model's inputs it saw; maps have that input's size.
    stride : tuple of float or None
        How many cells of the input lie between two of the grid's, along each axis of the input; None where it is not
        defined.
    receptive_field : tuple of int or None
        How many cells of the input a cell of the grid is computed from, along each axis, borders left out of account;
        what is pooled to one cell and weights the others (squeeze and excite) is not counted. None where it is not
        defined: after an attention, a loop, a Dense layer on flattened features, or an operation that is not known.
    centre : tuple of (float, float) or None
        Which cell of the input, counted from 0, is in the middle of what the first cell of the grid sees, along each
        axis: the lowest and the highest that any way through the model gives, as branches may differ. None where it is
        not defined, or depends on sizes that the model leaves open.
    default : bool
        Whether it is the one explained when none is named.
    reason : str
        Why it is the default; empty where it is not.
    made_on : str
        What a layer that is called more than once was called on, such as ``"input[..., 0:1]"`` or ``"conv@0"``.
    field : Field or None
        What `patch` reads.
    """

    path: str
    type: str
    shape: tuple[int | None, ...]
    grid: tuple[int | None, ...]
    input_index: int
    stride: tuple[float, ...] | None
    receptive_field: tuple[int, ...] | None
    centre: tuple[tuple[float, float], ...] | None
    default: bool
    reason: str
    made_on: str = ""
    field: Field | None = dataclasses.field(default=None, repr=False, compare=False)

    def patch(self, cell: Sequence[int]) -> tuple[slice, ...]:
        """Return the part of an image that a cell of the grid is computed from, as ``image[info.patch((2, 3))]``.

        Parameters
        ----------
        cell : sequence of int
            Its place in the grid, counted from 0, one number for each axis.

        Raises
        ------
        ValueError
            Where the receptive field, or where it lies, is not defined, or the cell has another number of axes.
        """
        ends = [axis.ends for axis in self.field.axes if axis.ends is not None] if self.field else []
        if self.field is None or self.centre is None or len(ends) < len(self.field.axes):
            raise ValueError(
                f"Layer {self.path!r} has no receptive field that is known: it sees all of the image, or the model "
                "leaves the image's size open; list_layers(model, images) takes that of the images."
            )
        if len(cell) != len(self.grid):
            raise ValueError(f"cell must have one number for each axis of the grid {self.grid}, got {tuple(cell)}.")
        # Axes of the model's own, such as frequencies, are no part of an input.
        return tuple(slice(*axis[operator.index(index)].tolist()) for axis, index in zip(ends, cell, strict=False))


def layer_info(trace: Trace, call: LayerCall, reason: str, shapes: Sequence[Sequence[int | None]]) -> LayerInfo:
    """Return what is told of a layer call on inputs of these shapes; a default has a reason to be it."""
    field = call.field_at(call.input_grid.layout.grid(shapes[call.input_grid.index]))
    centres = None if field is None else field.centres
    return LayerInfo(
        path=call.address,
        type=type(call.layer).__name__,
        shape=call.shape,
        grid=call.grid,
        input_index=call.input_grid.index,
        stride=None if field is None else tuple(map(float, field.strides)),
        receptive_field=None if field is None else field.sizes,
        centre=None if centres is None else tuple((float(low), float(high)) for low, high in centres),
        default=bool(reason),
        reason=reason,
        made_on=trace.arguments(call),
        field=field,
    )
