"""The input of a model in place of a layer, for methods that need no layer."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from tfcam.graph.receptive_axis import Axis
from tfcam.graph.receptive_field import Field
from tfcam.layers.input_grid import InputGrid
from tfcam.layers.trace import LayerCall, Trace
from tfcam.ops.layout import CHANNELS_LAST, AxisLayout, Unplaced


def input_call(trace: Trace) -> LayerCall:
    """Return the input that a model sees a grid in, as if a layer had put it out: a call of no layer.

    Raises
    ------
    ValueError
        Where no input has a grid.
    """
    input_grid = _input_grid(trace)
    output = trace.run.inputs[input_grid.index]
    return LayerCall(None, "input", 0, "input", output, input_grid.layout, input_grid, 0, _field)


def _field(sizes: Sequence[int | None]) -> Field:
    """Return what the cells of an input see of it: themselves."""
    return Field(tuple(map(Axis.of_input, sizes)))


def _input_grid(trace: Trace) -> InputGrid:
    """Return where the last layer with a grid has it from; without one, the first input that has axes for one."""
    calls = [call for call in trace.calls if call.is_spatial() and not isinstance(call.input_grid.layout, Unplaced)]
    on_path = [call for call in calls if trace.is_on_path(call)] or calls
    if on_path:
        return on_path[-1].input_grid
    for index, spec in enumerate(trace.inputs):
        if (spec.shape.rank or 0) > 2 and spec.dtype != tf.string:
            # Images, or rows of pixels; a series without a convolution, too, is read as rows.
            rows = AxisLayout(((None,),) * 3, (1, 2))
            return InputGrid(index, CHANNELS_LAST if spec.shape.rank > 3 else rows)
    shapes = [tuple(spec.shape) for spec in trace.inputs]
    raise ValueError(
        f"No input of model {trace.model_name!r} has a grid to mask (their shapes are {shapes}): reshape rows of "
        "numbers to images inside of the model."
    )
