"""The layers that are explained where none is named."""

from __future__ import annotations

import tensorflow as tf

from tfcam.graph.traversal import numbers_of
from tfcam.layers.trace import LayerCall, Trace
from tfcam.ops.layout import Unplaced

#: Why a layer cannot be named, and what to do.
HIDDEN = "inside a tf.function or tf.map_fn, where its layers cannot be seen: take the tf.function decorator off"


def explainable(trace: Trace, output: LayerCall | None = None) -> list[LayerCall]:
    """Return the calls whose output has a grid, in the order they are made.

    Left out are those of whose cells the explained output does not depend, but on others beside them, such as a class
    token; and those behind the logits.
    """
    calls = [call for call in trace.calls if call.is_spatial()]
    return [
        call
        for call in calls
        # What is needed takes longest to tell, and is seldom asked.
        if (trace.leads_to_logits(call, output) and trace.is_live(call, output)) or not trace.is_needed(call, output)
    ]


def has_grid(trace: Trace, output: LayerCall | None) -> bool:
    """Whether what is explained has a grid itself."""
    shapes = [output.shape] if output else [tuple(spec.shape) for spec in tf.nest.flatten(trace.outputs)]
    return all(len(shape) > 2 for shape in shapes)


def on_the_way(trace: Trace, output: LayerCall | None) -> list[LayerCall]:
    """Return the calls after a convolution that the output is computed from: no pooling's own, each tensor once."""
    tensors: dict[int, LayerCall] = {}
    sources: set[tuple[tf.Operation, int]] = set()
    for call in explainable(trace, output):
        numbers = numbers_of(call.output)
        source = numbers.op, numbers.value_index
        # Rows that a grid was reshaped to are that grid.
        if not (call.has_tokens and source in sources):
            tensors.setdefault(id(call.output), call)
        sources.add(source)
    # A row of columns, of which a loop reads an image, is no grid beside those of its convolutions.
    most = max((len(call.grid) for call in tensors.values()), default=0)
    return [
        call
        for call in tensors.values()
        if len(call.grid) >= min(most, 2)
        and trace.grids.is_after_convolution(call.output)
        and not trace.grids.is_pooling(call.output)
        and trace.is_on_path(call, output)
    ]


def stages(trace: Trace, output: LayerCall | None) -> list[LayerCall]:
    """Return the last activation of each size of the grid, the finest first; the last of all is the default layer."""
    last, is_padding = default_layer(trace, output), trace.grids.is_padding
    # Windows of tokens lie on the image otherwise, or are shifted: their maps are not added to those of grids.
    alike = [call for call in on_the_way(trace, output) if call.input_grid == last.input_grid]
    calls = [call for call in alike if call.cells > last.cells and not is_padding(call.output)]
    by_size = {call.cells: call for call in [*calls, last]}
    return [by_size[cells] for cells in sorted(by_size, reverse=True)]


def convolutions(trace: Trace, output: LayerCall | None) -> list[LayerCall]:
    """Return every convolution on the way to the output; the default layer where none is seen."""
    matches = [call for call in on_the_way(trace, output) if trace.grids.is_convolution(call.output)]
    return matches or [default_layer(trace, output)]


def default_layer(trace: Trace, output: LayerCall | None = None) -> LayerCall:
    """Return the last spatial activation: the tensor that enters the final pooling or flattening.

    Where the output has a grid itself (segmentation), the last activation of the coarsest grid. `output` is the call
    whose output is explained, if it is not the model's.
    """
    grids, candidates = trace.grids, on_the_way(trace, output)
    if candidates and has_grid(trace, output):
        coarsest = min(call.cells for call in candidates)
        candidates = [call for call in candidates if call.cells == coarsest]
    # Before a hidden convolution, a layer may not be the last, or the coarsest; behind all of them it is.
    certain = [call for call in candidates if trace.is_after_hidden(call, output)]
    if certain:
        return last_of(certain, trace, output)
    if trace.run.hidden and grids.has_convolution:
        raise ValueError(
            f"Model {trace.model_name!r} runs {', '.join(trace.run.hidden)} {HIDDEN}, or name a layer outside "
            "as conv_layer=."
        )
    if grids.convolves_unseen:
        raise ValueError(
            f"Model {trace.model_name!r} convolves inside of compiled functions alone, such as those of a SavedModel, "
            "where no layer can be seen: build it from its code, or load it from a .keras file."
        )
    if candidates and grids.hiding_layers:
        raise ValueError(
            f"Model {trace.model_name!r} convolves inside of {', '.join(grids.hiding_layers)}, in a compiled "
            "function or a SavedModel, where no layer can be seen, so its last activation is not known: build that "
            "part from its code, or load it from a .keras file; or name a layer before it, "
            f"conv_layer={candidates[-1].address!r}."
        )
    if grids.has_convolution:
        is_too_small = any(grids.is_convolution(call.output) and call.cells == 1 for call in trace.calls)
        remedy = (
            "build it for larger images, or name another layer with a grid" if is_too_small else "name one with a grid"
        )
        reason = "" if is_too_small else " The grid of its convolutions, or of the patches that it takes, ends before."
        [*_, last] = [None, *(call for call in trace.calls if grids.is_convolution(call.output))]
        if last and not last.has_grid and (operation := grids.end_of_positions(last.output)):
            reason = f" Behind {operation!r}, no axis of {last.address!r} is one of an input."
        raise ValueError(
            f"No convolutional activation of model {trace.model_name!r} that its output depends on has a grid of "
            f"more than one cell.{reason} To explain it, {remedy} as conv_layer=. tfcam.list_layers(model) shows them."
        )
    raise ValueError(
        f"Model {trace.model_name!r} has no convolutional layer, so there is no grid to explain; name a layer "
        "with spatial output as conv_layer=. tfcam.list_layers(model) shows them."
    )


def last_of(calls: list[LayerCall], trace: Trace, output: LayerCall | None) -> LayerCall:
    """Return the last of these calls; before an attention, what its factors are made of in their place."""
    if not trace.has_tokens:
        return calls[-1]
    ways = trace.bottlenecks(calls[-1], output)
    for call in reversed(calls):
        if ways.holds(call.output) and not ways.is_several_factors(call.output):
            return call
        if not ways.serves_attention(call.output):
            break
    return calls[-1]


def last_of_branches(trace: Trace, output: LayerCall | None) -> list[LayerCall]:
    """Return the last activations of branches that meet after their grids have ended, as those of an ensemble do.

    One where there is one branch: the default layer.
    """
    candidates = on_the_way(trace, output)
    if candidates and trace.has_tokens:
        last = last_of(candidates, trace, output)
        if trace.bottlenecks(last, output).holds(last.output):
            return [last]
    return [call for call in candidates if not any(trace.is_on_path(call, other) for other in candidates)]


def tokens_of_attentions(trace: Trace, output: LayerCall | None) -> list[LayerCall]:
    """Return the last layer before the first attention over cells; the default layer where there is no attention."""
    before = _before_attentions(trace, output)
    holding = [call for call in before if trace.bottlenecks(call, output).holds(call.output)]
    return [(holding or before or [default_layer(trace, output)])[-1]]


def last_block(trace: Trace, output: LayerCall | None) -> list[LayerCall]:
    """Return the last layer that ends a skip connection before the last attention; or else what comes before all."""
    ends = [call for call in _before_attentions(trace, output, last=True) if trace.grids.is_skip_sum(call.output)]
    return ends[-1:] or tokens_of_attentions(trace, output)


def _before_attentions(trace: Trace, output: LayerCall | None, *, last: bool = False) -> list[LayerCall]:
    """Return the layers, of which it is known where they lie, before the first attention, or the last one."""
    placed = [call for call in on_the_way(trace, output) if not isinstance(call.input_grid.layout, Unplaced)]
    return trace.before_attentions(placed, output, last)
