"""The grids of tensors, read from the origins of their axes, for inputs of known sizes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import tensorflow as tf

from tfcam.graph.axes import (
    BATCH,
    BATCH_SIZE,
    Axis,
    InputAxis,
    Joined,
    Lost,
    ModelAxis,
    Moved,
    Origin,
    Part,
    has_cells,
    has_positions,
    is_free,
    is_lost,
    origin_of,
    positions_of,
    sight_of,
    size_of,
    whole,
)
from tfcam.graph.axis_origins import AxisOrigins
from tfcam.graph.token_places import order_of
from tfcam.layers.input_grid import InputGrid, TensorGrid
from tfcam.ops.layout import AxisLayout, InputLayout, Unplaced

_ALL = whole(BATCH, BATCH_SIZE)


@dataclass(frozen=True)
class _Row:
    """What an axis of a tensor is made of: the axes of a grid that are merged in it, and what stands beside them.

    Tokens are the rows and columns of an image, merged, with class tokens in front of them.
    """

    parts: list[Axis]
    border: tuple[int, int] = (0, 0)

    @classmethod
    def of(cls, axis: Axis) -> _Row:
        """Return what an axis is made of; one part where no other can be told apart."""
        border = 0, 0
        if len(axis) == 1 and isinstance(axis[0].origin, Joined):
            pieces = axis[0].origin.parts
            numbers = [number for number, piece in enumerate(pieces) if has_positions((piece,)) or is_lost((piece,))]
            if len(numbers) == 1:
                before, after = pieces[: numbers[0]], pieces[numbers[0] + 1 :]
                axis, border = pieces[numbers[0]], (sum(map(size_of, before)), sum(map(size_of, after)))
        if len(axis) > 1 and not any(digit.is_free for digit in axis):
            return cls([(digit,) for digit in axis], border)
        return cls([axis], border)

    def sizes(self, kinds: list[str], *, is_batch: bool) -> tuple[int | None, ...]:
        """Return how large the parts are, so that they can be told apart; a part of the grid alone may have any size.

        Channels may be those of several axes.
        """
        known = tuple(size_of(part) for part in self.parts)
        if is_batch:
            return None, *known
        return known if len(known) > 1 or kinds == ["channel"] else (None,)


class SizedGrids:
    """The grids of the tensors of a graph, for inputs of known sizes.

    Parameters
    ----------
    graph : tf.Graph
    inputs : sequence of tf.Tensor
        The model's, flat.
    sizes : list of list of int
        Theirs.
    """

    def __init__(self, graph: tf.Graph, inputs: Sequence[tf.Tensor], sizes: list[list[int]]) -> None:
        self._sizes = sizes
        self.origins = AxisOrigins.of_inputs(graph, inputs, sizes)
        self._channels = set(self._channel_origins())

    def of(self, tensor: tf.Tensor) -> TensorGrid | None:
        """Return how a tensor is a grid; None where it has none that comes from an input."""
        if tensor not in self.origins or self.origins[tensor].element or not self.origins[tensor].axes:
            return None
        batch, *axes = self.origins[tensor].axes
        is_several = bool(batch) and isinstance(batch[0].origin, Joined) and set(batch[0].origin.parts) == {_ALL}
        if is_several:
            batch = _ALL
        if not batch or batch[0].origin != BATCH:
            return None
        # Beyond five axes these are windows or heads; two are a row of numbers.
        if not all(digit.is_whole for digit in batch) or len(axes) > 4 or len(batch) + len(axes) < 3:
            return None
        # Frames, tiles or a bag may be folded with the batch.
        rows = [_Row([(digit,) for digit in batch[1:]]), *map(_Row.of, axes)]
        kinds = [[self._kind(part) for part in row.parts] for row in rows]
        if kinds[-1] == ["lost"] and ["channel"] not in kinds:
            kinds[-1] = ["channel"]
        # Of flattened cells and channels, no axis is left for the channels.
        is_flat = ["channel"] not in kinds and any(is_free(axis[-1:]) for axis in axes)
        # Channels beside positions are the pixels of patches.
        has_patches = any(len(each) > 1 and "channel" in each for each in kinds)
        if is_flat or has_patches or any("" in each for each in kinds):
            return None
        if is_several and any("placed" in each for each in kinds):
            # Such maps are refused where they are counted: what else is lost does not matter.
            kinds = [["own" if kind == "lost" else kind for kind in each] for each in kinds]
        return self._grid(rows, kinds)

    def of_one_cell(self, tensor: tf.Tensor, input_grid: InputGrid, rank: int) -> TensorGrid | None:
        """Return the grid ``(N, 1, ..., 1, K)`` of a tensor of this rank without cells; None of others."""
        sizes = self.origins[tensor].sizes[1:] if tensor.shape.rank == rank else []
        if sizes.count(1) + 1 < len(sizes) or not sizes or has_cells(self.origins[tensor].axes):
            return None
        channels = next((axis for axis, size in enumerate(sizes, 1) if size != 1), rank - 1)
        axes = tuple(axis for axis in range(1, rank) if axis != channels)
        return TensorGrid(AxisLayout(((None,),) * rank, axes), input_grid, (), (1,) * len(axes))

    def _grid(self, rows: list[_Row], row_kinds: list[list[str]]) -> TensorGrid | None:
        """Return the grid of the axes of a tensor, whose parts are of these kinds; of the batch, those beside it."""
        axes = [part for row in rows for part in row.parts]
        kinds = [kind for each in row_kinds for kind in each]
        chosen = [number for number, kind in enumerate(kinds) if kind != "channel"]
        placed = [number for number in chosen if kinds[number] == "placed"]
        placed.sort(key=lambda number: order_of(origin_of(axes[number][0])))
        lost = [digit.origin for number in chosen if kinds[number] == "lost" for digit in axes[number]]
        losses = [operation for origin in lost if (operation := _lost_by(origin))]
        origins = tuple(_straight(origin_of(axes[number][0])) for number in placed)
        inputs = {axis.index for origin in origins if (axis := positions_of(origin))}
        if len(inputs) > 1 or len(set(origins)) < len(origins) or not (placed or losses):
            return None
        order = [*placed, *(number for number in chosen if number not in placed)]
        layout = AxisLayout(
            tuple(
                row.sizes(each, is_batch=not number)
                for number, (row, each) in enumerate(zip(rows, row_kinds, strict=True))
            ),
            tuple(1 + number for number in order),
            tuple(order.index(number) for number in placed if isinstance(axes[number][0].origin, Moved)),
            tuple(row.border for row in rows) if any(sum(row.border) for row in rows) else (),
        )
        where = Unplaced(losses[0]) if losses else self._input_layout(min(inputs), origins)
        input_grid = InputGrid(min(inputs, default=0), where)
        sights = tuple(sight_of(axes[number]) for number in placed)
        return TensorGrid(layout, input_grid, sights, tuple(size_of(axes[number]) for number in order))

    def _kind(self, axis: Axis) -> str:
        """Return what an axis is: "channel"; "placed" along one of an input; "own" to the model; "lost"; or none."""
        if not axis or is_free(axis):
            return "channel"
        first, others = axis[0], axis[1:]
        if isinstance(first.origin, Joined):
            return "channel" if all(self._kind(part) == "channel" for part in first.origin.parts) else ""
        if not is_free(others):
            return "lost" if any(_lost_by(digit.origin) for digit in axis) else ""
        if origin_of(first) in self._channels:
            return "channel"
        if isinstance(first.origin, ModelAxis):
            return "own"
        if _lost_by(first.origin):
            return "lost"
        return "placed" if positions_of(first.origin) else ""

    def _input_layout(self, index: int, origins: tuple[Origin, ...]) -> InputLayout:
        """Return how an input is the grid of axes that come from it; what it has beside them are channels."""
        origins = tuple(map(self._spread, origins))
        sizes: list[tuple[int | None, ...]] = [(None,)]
        grid: dict[Origin, int] = {}
        for axis, size in enumerate(self._sizes[index][1:], 1):
            parts = self._parts(InputAxis(index, axis), size, origins)
            grid |= {origin: sum(map(len, sizes)) + place for place, (origin, _) in enumerate(parts)}
            sizes.append(tuple(count for _, count in parts))
        if any(origin not in grid for origin in origins):
            return Unplaced("Reshape")
        return AxisLayout(tuple(sizes), tuple(grid[origin] for origin in origins))

    def _spread(self, origin: Origin) -> Origin:
        """Return where every n-th cell lies, of those that stand further apart than the input's: all along its axis.

        The cells between are channels, where a reshape merges patches.
        """
        if not isinstance(origin, Part) or not isinstance(origin.parent, InputAxis):
            return origin
        is_own = origin.count == self._sizes[origin.parent.index][origin.parent.axis]
        return origin if is_own or origin.stride * origin.size != origin.count else origin.parent

    def _parts(self, axis: InputAxis, size: int, origins: Sequence[Origin]) -> list[tuple[Origin, int]]:
        """Return the parts that an axis of an input is divided into, the slowest first, with their sizes.

        Where nothing is left of the cells within a part, such as the samples of a frame, they belong to the part.
        """
        ends = [one for one in origins if isinstance(one, Part) and (one.parent, one.count) == (axis, size)]
        if not ends:
            return [(axis, size)]
        channels = map(_straight, self._channels)
        known = [*ends, *(one for one in channels if isinstance(one, Part) and one.parent == axis)]
        bounds = sorted({1, size, *(one.stride for one in known), *(one.stride * one.size for one in known)})
        parts: list[tuple[Origin, int]] = []
        for low, high in reversed(list(pairwise(bounds))):
            part = Part(axis, size, low, high // low)
            if part not in known and parts and parts[-1][0] in ends:
                parts[-1] = (parts[-1][0], parts[-1][1] * (high // low))
            else:
                parts.append((part, high // low))
        return parts if math.prod(count for _, count in parts) == size else [(axis, size)]

    def _channel_origins(self) -> Iterator[Origin]:
        """Yield the axes of inputs that are channels: what convolutions take for them.

        Of an input without any, what a product of matrices sums over alone, or else the last of three axes or more.
        """
        roles = self.origins.roles
        certain = roles.channels - roles.slid
        yield from certain
        for index, sizes in enumerate(self._sizes):
            axes = {InputAxis(index, axis) for axis in range(1, len(sizes))} - roles.slid
            last = InputAxis(index, len(sizes) - 1)
            if len(sizes) < 3 or any(positions_of(origin) in axes for origin in certain):
                continue
            summed = axes & roles.summed
            if summed and len(summed) < len(sizes) - 1:
                yield from summed
            elif last in axes:
                yield last


def _lost_by(origin: Origin) -> str:
    """Return the operation that the place of an origin's cells is lost by; empty where it is none."""
    while isinstance(origin, (Part, Moved)):
        if isinstance(origin, Moved) and origin.shift is not None:
            return "Roll"
        origin = origin.parent
    return origin.operation if isinstance(origin, Lost) else ""


def _straight(origin: Origin) -> Origin:
    return origin.parent if isinstance(origin, Moved) else origin
