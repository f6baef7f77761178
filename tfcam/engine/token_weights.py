"""A weight for each token: of those beside the grid, and of its cells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf

from tfcam.graph.token_places import TokenPlaces
from tfcam.ops.resize import Matrix, mean_matrix, resize, share_matrix


@dataclass(frozen=True)
class TokenWeights:
    """A weight for each token.

    Attributes
    ----------
    others : tf.Tensor
        ``(N, P)`` float32: of the tokens without a place, such as a class token.
    cells : tf.Tensor or None
        ``(N, *grid)`` float32: of those of the grid; None where none has a place.
    """

    others: tf.Tensor
    cells: tf.Tensor | None

    @classmethod
    def of(cls, places: TokenPlaces, values: tf.Tensor) -> TokenWeights:
        """Return the weights of tokens from values ``(N, windows, entries)``: the sum of those of each."""
        tokens = _tokens(places, values)
        cells = tf.reshape(tokens[:, places.others :], (-1, *places.grid)) if places.grid else None
        return cls(tokens[:, : places.others], cells)

    @classmethod
    def mean(cls, each: Sequence[TokenWeights]) -> TokenWeights:
        """Return the mean of weights, at the finest grid of all."""
        finest = max((grid for one in each if (grid := one.grid)), key=math.prod)
        total, *others = (one.resized(finest, mean_matrix) for one in each)
        for one in others:
            total = total.plus(one)
        return total.times(1.0 / len(each))

    @property
    def grid(self) -> tuple[int, ...]:
        """The sizes of the grid of the cells; empty where there are none."""
        return () if self.cells is None else tuple(self.cells.shape[1:])

    def at(self, places: TokenPlaces) -> tf.Tensor:
        """Return the weights ``(N, windows, entries)`` of the tokens of an attention.

        A finer grid shares those of the cells of this one.
        """
        missing = max(0, places.others - self.others.shape[1])
        parts = [tf.pad(self.others[:, : places.others], ((0, 0), (0, missing)))]
        if places.grid:
            cells = self.resized(places.grid).cells
            images = tf.shape(self.others)[0]
            parts.append(tf.zeros((images, places.cells)) if cells is None else tf.reshape(cells, (-1, places.cells)))
        tokens = tf.concat(parts, axis=1)
        gathered = tokens if places.is_plain else tf.gather(tokens, places.numbers.ravel(), axis=1)
        return tf.reshape(gathered, (-1, *places.numbers.shape))

    def resized(self, grid: tuple[int, ...], matrix: Matrix = share_matrix) -> TokenWeights:
        """Return the weights with their cells in another grid over the same image; the sum stays the same."""
        if self.cells is None or self.grid == grid:
            return self
        return TokenWeights(self.others, resize(self.cells, grid, matrix))

    def plus(self, other: TokenWeights) -> TokenWeights:
        """Return the sum of these weights and others, in the finer of both grids."""
        count = max(self.others.shape[1], other.others.shape[1])
        others = [tf.pad(one.others, ((0, 0), (0, count - one.others.shape[1]))) for one in (self, other)]
        pairs = [one.resized(max(self.grid, other.grid, key=_count)).cells for one in (self, other)]
        cells = [one for one in pairs if one is not None]
        return TokenWeights(tf.add_n(others), tf.add_n(cells) if cells else None)

    def times(self, factor: float) -> TokenWeights:
        """Return the weights multiplied by a number."""
        return TokenWeights(self.others * factor, None if self.cells is None else self.cells * factor)


def _tokens(places: TokenPlaces, values: tf.Tensor) -> tf.Tensor:
    """Return the sums ``(N, tokens)`` of what stands in windows, ``(N, windows, entries)``."""
    flat = tf.reshape(values, (-1, places.numbers.size))
    if places.is_plain:
        return flat
    if places.inverse is not None:
        return tf.gather(flat, places.inverse, axis=1)
    return tf.transpose(tf.math.unsorted_segment_sum(tf.transpose(flat), places.numbers.ravel(), places.count))


def _count(grid: tuple[int, ...]) -> int:
    return math.prod(grid) if grid else 0
