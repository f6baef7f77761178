"""The list of the layers of a model that can be explained."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import tensorflow as tf

from tfcam.backend.keras_compat import built_signature
from tfcam.backend.symbolic_call import Untraceable
from tfcam.data.input_spec import InputSpec
from tfcam.layers.default_layers import default_layer, explainable, has_grid
from tfcam.layers.info import LayerInfo, layer_info
from tfcam.layers.tokens import with_tokens
from tfcam.layers.trace import LayerCall, Trace
from tfcam.layers.traced_model import TracedModel

_LEVEL = "the last layer that leads to the class and to the box of predictions of this size of the grid"


def layer_infos(
    trace: Trace,
    output: LayerCall | None = None,
    sizes: Sequence[Sequence[int | None]] | None = None,
    levels: Sequence[LayerCall] = (),
) -> list[LayerInfo]:
    """Return what `list_layers` shows, where the output of this call is explained, or the model's.

    `sizes` are the shapes of inputs, of a model that leaves them open; `levels` the layers that are explained of a
    detector.
    """
    shapes = sizes or [spec.shape.as_list() for spec in trace.inputs]
    reasons = dict.fromkeys((call.address for call in levels), _LEVEL)
    if not levels:
        with suppress(ValueError):
            default = default_layer(trace, output)
            reasons[default.address] = _reason(trace, output, default)
    return [layer_info(trace, call, reasons.get(call.address, ""), shapes) for call in explainable(trace, output)]


def _reason(trace: Trace, output: LayerCall | None, default: LayerCall) -> str:
    """Return why the default layer is it."""
    if has_grid(trace, output):
        return "the output has a grid: the last activation of the coarsest grid on the way to it"
    later = trace.calls[trace.calls.index(default) + 1 :]
    if any(call.has_tokens and trace.is_needed(call, output) and not trace.is_live(call, output) for call in later):
        return "the last activation whose patches the output depends on: behind it, a class token alone is read"
    return "the last activation with a grid on the way to the output"


def _trace_as_built(model: Any) -> Trace:
    """Return the trace of a model that declares no inputs, on such as it was first called on."""
    specs = built_signature(model)
    if specs is None:
        raise ValueError(f"Model {model.name!r} is not built: list_layers(model, inputs) needs one batch of it.")
    try:
        return TracedModel.of(model).trace(specs)
    except Untraceable as error:
        raise ValueError(
            f"Model {model.name!r} declares no inputs, and cannot be traced for floats of the shapes that it was first "
            "called on: list_layers(model, inputs) needs one batch of it."
        ) from error


def list_layers(model: Any, inputs: Any = None) -> list[LayerInfo]:
    """Return every layer of a model that can be explained, in the order it calls them.

    Works for every model, also where no default can be chosen: then no row is marked as the default.

    Parameters
    ----------
    model : keras.Model or tf_keras.Model
    inputs : structure of arrays or None
        One batch, needed for a model that does not declare its inputs, or must know their sizes. Of one that leaves
        their sizes open, it tells `LayerInfo.centre`.
    """
    input_spec = InputSpec(model)
    if input_spec.declared is not None:
        try:
            shapes = None if inputs is None else [one.shape for one in tf.nest.flatten(input_spec.tensors(inputs))]
            return layer_infos(with_tokens(TracedModel.of(model).trace(input_spec.declared)), sizes=shapes)
        except Untraceable as error:
            if not input_spec.give_sizes():
                raise
            if inputs is None:
                raise ValueError(
                    f"{error} To list its layers as it is, list_layers(model, inputs) needs one batch."
                ) from error
    if inputs is None:
        return layer_infos(with_tokens(_trace_as_built(model)))
    return layer_infos(with_tokens(TracedModel.of(model).trace(input_spec.specs(input_spec.tensors(inputs)))))
