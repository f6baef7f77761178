"""Tokens whose places the graph does not tell: as the user says they lie, or as a guess that is said."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass, replace
from typing import Any

from tfcam.layers.input_grid import InputGrid
from tfcam.layers.trace import LayerCall, Trace
from tfcam.ops.layout import CHANNELS_LAST, AxisLayout, InputLayout, Unplaced

#: How many tokens may stand in front where that is guessed: a class token, and four registers.
_MOST_IN_FRONT = 5


@dataclass(frozen=True)
class Tokens:
    """How tokens lie on an input.

    Attributes
    ----------
    prefix : int
        How many stand in front that have no place, such as a class token.
    grid : tuple of int
        The sizes of the grid of the others, row by row.
    """

    prefix: int
    grid: tuple[int, ...]

    @classmethod
    def read(cls, value: Any) -> Tokens | None:
        """Return what ``tokens=`` says; None stays."""
        if value is None:
            return None
        try:
            prefix, grid = value
            tokens = cls(operator.index(prefix), tuple(map(operator.index, grid)))
        except (TypeError, ValueError):
            raise TypeError(
                f"tokens={value!r} must be (prefix, grid), such as (1, (14, 14)): one token in front of those of 14 "
                "rows and 14 columns."
            ) from None
        if tokens.prefix < 0 or not 1 <= len(tokens.grid) <= 3 or min(tokens.grid) < 1:
            raise ValueError(
                f"tokens={value!r} must be (prefix, grid) with a prefix of 0 or more and a grid of one to three "
                "positive sizes, such as (1, (14, 14))."
            )
        return tokens

    @property
    def count(self) -> int:
        """How many tokens these are."""
        return self.prefix + math.prod(self.grid)

    @property
    def layout(self) -> AxisLayout:
        """How a tensor ``(N, tokens, channels)`` is a grid."""
        borders = ((0, 0), (self.prefix, 0), (0, 0)) if self.prefix else ()
        axes = tuple(range(1, 1 + len(self.grid)))
        return AxisLayout(((None,), self.grid, (None,)), axes, (), borders)

    def place(self, call: LayerCall, trace: Trace) -> LayerCall:
        """Return a call whose output is these tokens."""
        index, layout = _image_of(trace, len(self.grid))
        return replace(
            call,
            layout=self.layout,
            input_grid=InputGrid(index, layout),
            cells=math.prod(self.grid),
            field_at=lambda sizes: None,
        )


def with_tokens(trace: Trace, tokens: Tokens | None = None) -> Trace:
    """Return a trace whose calls ``(N, tokens, channels)`` are such tokens; without any, a guess where none is told.

    Calls whose number of tokens is another stay as they are.

    Raises
    ------
    ValueError
        Where no call has so many tokens, or no input such a grid.
    """
    counts = {call.shape[1] for call in trace.calls if len(call.shape) == 3}
    if tokens is not None and tokens.count not in counts:
        known = ", ".join(map(str, sorted(count for count in counts if count))) or "no tokens"
        raise ValueError(
            f"tokens=({tokens.prefix}, {tokens.grid}) are {tokens.count} tokens, and no layer of {trace.model_name!r} "
            f"has so many: its layers of the shape (N, tokens, channels) have {known}."
        )

    def placed(call: LayerCall) -> LayerCall:
        if len(call.shape) != 3 or call.shape[1] is None:
            return call
        if tokens is not None:
            return tokens.place(call, trace) if call.shape[1] == tokens.count else call
        guess = _guess(trace, call.shape[1]) if isinstance(call.input_grid.layout, Unplaced) else None
        return replace(guess.place(call, trace), finding=_said(guess, call)) if guess else call

    calls = [placed(call) for call in trace.calls]
    return trace if calls == trace.calls else replace(trace, calls=calls)


def _guess(trace: Trace, count: int) -> Tokens | None:
    """Return how so many tokens may lie: as the patches of the model do, or else as the largest square of them."""
    grids = [
        call.grid
        for call in reversed(trace.calls)
        if call.has_grid and not isinstance(call.input_grid.layout, Unplaced)
    ]
    side = math.isqrt(count)
    squares = [(side, side)] if side > 1 and _has_square_image(trace) else []
    for grid in [*grids, *squares]:
        sizes = tuple(size for size in grid if size is not None)
        prefix = count - math.prod(sizes)
        if len(sizes) == len(grid) == 2 and 0 <= prefix <= _MOST_IN_FRONT:
            return Tokens(prefix, sizes)
    return None


def _said(guess: Tokens, call: LayerCall) -> str:
    """Return the warning of a guess."""
    rows, columns = guess.grid
    front = f"{guess.prefix} in front of {rows} x {columns}" if guess.prefix else f"{rows} x {columns}"
    where = call.input_grid.layout
    operation = where.operation if isinstance(where, Unplaced) else ""
    return (
        f"the model's operation {operation!r} does not tell where its {guess.count} tokens lie, and they are taken for "
        f"{front}: tokens=({guess.prefix}, {guess.grid}) says so without this warning, or say what they are"
    )


def _image_of(trace: Trace, rank: int) -> tuple[int, InputLayout]:
    """Return the input that tokens of a grid of this rank lie on: one that others do, or the first of the rank."""
    for call in trace.calls:
        if call.has_grid and not isinstance(call.input_grid.layout, Unplaced) and len(call.grid) == rank:
            return call.input_grid.index, call.input_grid.layout
    ranks = [len(spec.shape) for spec in trace.inputs]
    if rank + 2 not in ranks:
        raise ValueError(
            f"tokens= has a grid of {rank} axes, and no input of {trace.model_name!r} has as many beside its batch and "
            f"its channels: their shapes are {[tuple(spec.shape) for spec in trace.inputs]}."
        )
    return ranks.index(rank + 2), CHANNELS_LAST


def _has_square_image(trace: Trace) -> bool:
    sizes = [tuple(spec.shape[1:3]) for spec in trace.inputs if len(spec.shape) == 4]
    return any(height == width and height is not None for height, width in sizes)


def unread_tokens(trace: Trace, explained: LayerCall, output: LayerCall | None) -> str:
    """Return what is worth a warning where tokens behind the explained layer are passed over; empty where none are."""
    later = trace.calls[trace.calls.index(explained) + 1 :] if explained in trace.calls else []
    for call in reversed(later):
        is_placed = call.has_grid and not isinstance(call.input_grid.layout, Unplaced)
        if is_placed or not trace.is_on_path(call, output) or not trace.grids.are_unread_tokens(call.output):
            continue
        where = call.input_grid.layout
        reason = f" since the model's operation {where.operation!r} loses it," if isinstance(where, Unplaced) else ""
        return (
            f"where the tokens of {call.address!r}, of the shape {call.shape}, lie is not known,{reason} and a layer "
            "before them is explained: say tokens=(prefix, (rows, columns)), how many stand in front, and the grid of "
            "the others; or name the layer that you mean"
        )
    return ""
