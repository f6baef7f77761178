"""What each operation makes of the axes of its inputs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Any

from tfcam.graph import receptive_axis
from tfcam.graph.axes import (
    BATCH,
    BATCH_SIZE,
    NONE,
    Axis,
    Joined,
    blind,
    has_cells,
    is_free,
    lost,
    merged,
    reshaped,
    size_of,
    slid,
    whole,
)
from tfcam.graph.axis_cuts import concatenation, joint
from tfcam.graph.axis_labels import Labels, Step, Untold, entrywise, joint_axes, need, replaced
from tfcam.graph.axis_moves import MOVES
from tfcam.graph.op_types import op_type
from tfcam.graph.receptive_sliding import Rule, Slide, padded, repetition, slides, somewhere

#: How many cells away the kernel of a resizing ends; 0: it takes the nearest cell.
_RADII = {"ResizeNearestNeighbor": 0, "ResizeBilinear": 1, "ResizeBicubic": 2}


def _accumulate(step: Step) -> list[Axis]:
    """Return the axes of what each cell computes from those before it."""
    return replaced(step.first, need(step.axis(1)), blind(step.first[need(step.axis(1))]))


def _of_cells(step: Step) -> list[Axis]:
    """Return the axes of what mixes the last axis: where channels stand in front, that is one of the grid."""
    *axes, last = entrywise(step)
    return [*axes, blind(last)]


def _along_channels(step: Step) -> list[Labels]:
    """Return the axes of what adds a vector along the channels, wherever they stand, or scales by one."""
    return [Labels.of(step.first, step.inputs[0])]


def _pad(step: Step) -> list[Axis]:
    pads, is_certain = need(step.value(1)).tolist(), step.is_certain(1)
    return [
        axis if not any(pad) else _padded(axis, pad, step.name, padded(*pad) if is_certain else somewhere)
        for axis, pad in zip(step.first, pads, strict=True)
    ]


def _padded(axis: Axis, pad: list[int], operation: str, rule: Rule) -> Axis:
    size = size_of(axis) + sum(pad)
    parts = axis[0].origin.parts if len(axis) == 1 and isinstance(axis[0].origin, Joined) else (axis,)
    if not all(is_free(part[1:]) for part in parts):
        # Rows are not padded by a token or two: these stand beside them.
        before, after = ([whole(NONE, count)] if count else [] for count in pad)
        return concatenation([*before, axis, *after])
    return whole(NONE, size) if is_free(axis) else slid(axis, size, operation, rule)


def _resize(step: Step) -> list[Axis]:
    sizes = need(step.numbers(1))
    centre = Fraction(1, 2) if step.operation.get_attr("half_pixel_centers") else Fraction(0)
    has_corners, radius = step.operation.get_attr("align_corners"), _RADII[step.kind]

    def rule(size: int) -> Rule:
        def resized(axis: receptive_axis.Axis) -> receptive_axis.Axis | None:
            if axis.size is None:
                return None
            corners = int(has_corners and size > 1)
            window = receptive_axis.Window.resize(Fraction(axis.size - corners, size - corners), radius, centre)
            # The size afterwards is fixed, so that the size of the input decides nothing further on.
            return replace(axis.through(window, size), modulus=1)

        return resized

    rules = [rule(size) if step.is_certain(1) else None for size in sizes]
    grid = [slid(*one) for one in zip(step.first[1:3], sizes, [step.name] * 2, rules, strict=True)]
    return [step.first[0], *grid, step.first[3]]


def _blocks(step: Step) -> list[Axis]:
    """Return the axes where blocks of cells become channels, or the reverse."""
    block, channels = step.operation.get_attr("block_size"), step.channels
    is_back, result = step.kind == "DepthToSpace", list(step.first)
    rule = repetition(block) if is_back else Slide(block, block, 1, "VALID").rule
    for position, size in list(enumerate(step.inputs[0].sizes))[1:]:
        if position == channels:
            result[position] = whole(NONE, size // block**2 if is_back else size * block**2)
        else:
            size = size * block if is_back else size // block
            result[position] = slid(step.first[position], size, step.name, rule)
    return result


def _fold(step: Step) -> list[Axis]:
    """Return the axes to or from every n-th cell, with the others in the batch: how dilations are computed."""
    blocks, pads = need(step.numbers(1)), need(step.value(2)).tolist()
    batch, *rest = step.first
    is_back, count, is_certain = step.kind == "BatchToSpaceND", math.prod(blocks), step.is_certain(1, 2)
    for number, (block, pad) in enumerate(zip(blocks, pads, strict=True)):
        size = size_of(rest[number])
        size = size * block - sum(pad) if is_back else (size + sum(pad)) // block
        rule = _folded(-1 if is_back else 1, pad, 1 if is_back else block) if is_certain else None
        rest[number] = slid(rest[number], size, step.name, rule)
    if is_back:
        return [reshaped([batch], [count, size_of(batch) // count], step.name)[1], *rest]
    return [merged([*whole(NONE, count), *batch]), *rest]


def _folded(sign: int, pad: list[int], folds: int) -> Rule:
    before, after = (sign * one for one in pad)
    return lambda axis: replace(padded(before, after)(axis) or axis, folds=folds)


def _reduce(step: Step) -> list[Axis]:
    if step.kind in ("ArgMax", "ArgMin"):
        return replaced(step.first, need(step.axis(1)))
    gone = {axis % len(step.first) for axis in need(step.numbers(1))} if step.first else set()
    keep = step.operation.get_attr("keep_dims")
    axes = [() if position in gone else axis for position, axis in enumerate(step.first)]
    return axes if keep else [axis for position, axis in enumerate(axes) if position not in gone]


def _one_hot(step: Step) -> list[Axis]:
    position, result = step.operation.get_attr("axis"), list(step.first)
    result.insert(len(result) if position == -1 else position, whole(NONE, int(need(step.value(1)))))
    return result


def _top(step: Step) -> list[Axis]:
    return replaced(step.first, -1, whole(NONE, int(need(step.value(1)))))


def _spectrum(step: Step) -> list[Axis]:
    """Return the axes of a Fourier transform of the last axis."""
    size = size_of(step.first[-1])
    if len(step.inputs) > 1:
        length = need(step.numbers(1))[-1]
        size = length // 2 + 1 if step.kind == "RFFT" else length
    return replaced(step.first, -1, whole(NONE, size))


def _product(step: Step) -> list[Axis]:
    """Return the axes of a product of matrices: the rows of the one and the columns of the other."""
    names = ("transpose_a", "transpose_b") if step.kind == "MatMul" else ("adj_x", "adj_y")
    one, other = (
        [*axes[:-2], axes[-1], axes[-2]] if step.operation.get_attr(name) else list(axes)
        for name, axes in zip(names, (labels.axes for labels in step.inputs), strict=True)
    )
    return _seen(step, [*joint_axes([one[:-2], other[:-2]], step.name), one[-2], other[-1]])


def _seen(step: Step, axes: list[Axis]) -> list[Axis]:
    """Return the axes of a product: of two factors with cells, as in an attention, each cell sees all others."""
    is_attention = all(has_cells(labels.axes) for labels in step.inputs) and len(step.inputs) > 1
    return list(map(blind, axes)) if is_attention else axes


def _einsum(step: Step) -> list[Axis]:
    terms, result = step.operation.get_attr("equation").decode().split("->")
    by_letter: dict[str, Axis] = {}
    batch: list[list[Axis]] = []
    for term, labels in zip(terms.split(","), step.inputs, strict=True):
        axes = list(labels.axes)
        if "..." in term:
            position = term.index(".")
            count = len(axes) - len(term.replace("...", ""))
            batch.append(axes[position : position + count])
            axes[position : position + count] = []
        for letter, axis in zip(term.replace("...", ""), axes, strict=True):
            by_letter[letter] = joint(by_letter.get(letter, ()), axis, step.name)
    common = joint_axes(batch, step.name)
    head, _, tail = result.partition("...")
    named = [[by_letter[letter] for letter in part] for part in (head, tail)]
    return _seen(step, [*named[0], *(common if "..." in result else []), *named[1]])


def _slide(step: Step) -> list[Axis]:
    """Return the axes of a convolution or pooling: channels have no position."""
    is_back, axes, channels = "Backprop" in step.kind, step.slid, step.channels
    kernels = [tuple(labels.sizes) for labels in step.inputs[1:2]]
    each = slides(step.operation.node_def, kernels, len(axes) - 2)
    positions = [position for position in range(1, len(axes)) if position != channels]
    if each is None:
        raise Untold
    result, known = list(axes), step.operation.outputs[0].shape
    for slide, position in zip(each, positions, strict=True):
        rule: Rule = slide.rule
        if is_back:
            size = need(step.numbers(0))[position]
            rule = partial(slide.transposed_rule, output_size=known[position] if known.rank else None)
        else:
            size = slide.output_size(size_of(axes[position]))
        result[position] = slid(axes[position], size, step.name, rule)
    if op_type(step.kind).family == "convolution":
        result[channels] = whole(NONE, _channel_count(step, size_of(axes[channels]), math.prod(s.kernel for s in each)))
    return result


def _channel_count(step: Step, before: int, kernel: int) -> int:
    if "Extract" in step.kind:
        return before * kernel
    sizes = step.inputs[1].sizes
    return sizes[-2] * sizes[-1] if step.kind.startswith("Depthwise") else sizes[-2 if "Backprop" in step.kind else -1]


def unknown(step: Step, operation: str = "") -> list[Labels]:
    """Return the axes of what is not told: the batch alone, and where the sizes are known, that they are lost.

    `operation` is the name of the one that lost them, if it is not the step's.
    """
    given = next((labels for labels in step.inputs if labels.axes), None)
    result = []
    for output in step.operation.outputs:
        sizes: list[int | None] = list(output.shape.as_list()) if output.shape.rank is not None else []
        if given and None in sizes and len(given.axes) == len(sizes):
            sizes = [own if size is None else size for own, size in zip(given.sizes, sizes, strict=True)]
        axes = [lost(size or 1, operation or step.name) for size in sizes]
        if given and sizes and given.sizes[0] == sizes[0]:
            axes[0] = given.axes[0]
        elif sizes and sizes[0] is None:
            axes[0] = whole(BATCH, BATCH_SIZE)
        result.append(Labels.of(axes))
    return result


def _with_shape(step: Step) -> Any:
    """Return the axes of a tensor whose shape the model states, as behind a function of Python's."""
    if step.operation.outputs[0].shape.rank == len(step.first):
        return step.first
    return unknown(step, step.operation.inputs[0].op.name)


#: By the type of the operation; of others, by what the table of operations says.
RULES: dict[str, Callable[[Step], Any]] = {
    **MOVES,
    "EnsureShape": _with_shape,
    "OneHot": _one_hot,
    "TopKV2": _top,
    "Einsum": _einsum,
    "Cumsum": _accumulate,
    **dict.fromkeys(("BiasAdd", "FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"), _along_channels),
    **dict.fromkeys(("Pad", "PadV2", "MirrorPad"), _pad),
    **dict.fromkeys(("ResizeBilinear", "ResizeNearestNeighbor", "ResizeBicubic"), _resize),
    **dict.fromkeys(("SpaceToDepth", "DepthToSpace"), _blocks),
    **dict.fromkeys(("SpaceToBatchND", "BatchToSpaceND"), _fold),
    **dict.fromkeys(("ArgMax", "ArgMin"), _reduce),
    **dict.fromkeys(("ComplexAbs", "Real", "Imag", "Complex", "Angle", "Conj"), entrywise),
    **dict.fromkeys(("RFFT", "FFT", "IFFT"), _spectrum),
    **dict.fromkeys(("MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"), _product),
}


_REACHES = {"number": entrywise, "cell": _of_cells}
_FAMILIES = {"reduction": _reduce, "convolution": _slide, "pooling": _slide}


def labels_of(step: Step) -> list[Labels]:
    """Return the labels of the outputs of an operation, from those of its inputs."""
    row = op_type(step.operation)
    rule = RULES.get(step.kind) or _FAMILIES.get(row.family) or _REACHES.get(row.reach)
    try:
        result: Any = rule(step) if rule else unknown(step)
    except (ArithmeticError, LookupError, TypeError, ValueError):
        # Untold, or what a rule does not expect: nothing is concluded.
        result = unknown(step)
    if isinstance(result, Labels):
        return [result]
    if result and isinstance(result[0], Labels):
        return list(result)
    return [Labels.of(result, *step.inputs)]
