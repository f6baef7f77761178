"""The input of a model in place of a layer, for methods that need no layer."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from tfcam.graph.receptive_axis import Axis
from tfcam.graph.receptive_field import Field
from tfcam.layers.input_grid import InputGrid
from tfcam.layers.trace import LayerCall, Trace
from tfcam.ops.layout import CHANNELS_LAST, Channelless


def given(traced: Trace) -> LayerCall:
    """Return the input that a model sees a grid in, as if a layer had put it out: a call of no layer.

    Raises
    ------
    ValueError
        Where no input has a grid.
    """
    input_grid = _input_grid(traced)
    shape = tuple(traced.inputs[input_grid.index].shape.as_list())
    return LayerCall(
        layer=None,
        path="input",
        nth=0,
        address="input",
        shape=shape,
        layout=input_grid.layout,
        input_grid=input_grid,
        has_grid=True,
        tensor=-1,
        follows=0,
        is_one_of_several=False,
        after_convolution=False,
        is_pooled=False,
        is_padded=False,
        is_convolution=False,
        hidden=0,
        made_on="",
        cells=0,
        field_at=_field,
    )


def _field(sizes: Sequence[int | None]) -> Field:
    """Return what the cells of an input see of it: themselves."""
    return Field(tuple(map(Axis.of_input, sizes)))


def _input_grid(traced: Trace) -> InputGrid:
    """Return where the last layer with a grid has it from; without one, the first input that has axes for one."""
    calls = [call for call in traced.calls if call.is_spatial()]
    behind = [call for call in calls if traced.follows >> call.tensor & 1] or calls
    if behind:
        return behind[-1].input_grid
    for index, spec in enumerate(traced.inputs):
        if (spec.shape.rank or 0) > 2 and spec.dtype != tf.string:
            # Images, or rows of pixels; a series without a convolution, too, is read as rows.
            return InputGrid(index, CHANNELS_LAST if spec.shape.rank > 3 else Channelless())
    shapes = [tuple(spec.shape) for spec in traced.inputs]
    raise ValueError(
        f"No input of model {traced.model_name!r} has a grid to mask (their shapes are {shapes}): reshape rows of "
        "numbers to images inside of the model."
    )
