"""Families of attentions: a method gives a formula of attentions and their gradients."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import ClassVar

import tensorflow as tf

from tfcam.engine import Run
from tfcam.engine.attentions import Attention, with_gradients
from tfcam.engine.token_weights import TokenWeights
from tfcam.graph.token_places import TokenPlaces
from tfcam.methods.base.explainer import Explainer
from tfcam.methods.base.single_pass import findings_of_gradients
from tfcam.ops.resize import mean_matrix


class AttentionMethod(Explainer):
    """A method of the attentions behind a layer, whose cells the map has.

    By default that is the last layer before the first attention, so that all of them count.
    """

    family = "attention"
    needs = "attention"
    default_layers = "tokens"

    @abstractmethod
    def weights(self, run: Run, attentions: list[Attention]) -> TokenWeights:
        """Return the map, a weight for each token, of the attentions behind a layer."""

    def findings(self, run: Run) -> dict[str, tf.Tensor]:
        """Add gradients of zero, and probabilities, where a score is explained."""
        found = super().findings(run)
        if not self.explains_scores:
            return found
        # Those of the last attention tell, and a method of it alone takes no others.
        last = run.attentions(len(run.activations) - 1)[-1]
        [again] = with_gradients([last.softmax], run.scores(), run.axis_origins, run.is_half)
        return found | findings_of_gradients(run, [again.gradients])

    def maps(self, run: Run) -> list[tf.Tensor]:
        """Return the maps of each layer."""
        return [self._map(run, layer) for layer in range(len(run.activations))]

    def _map(self, run: Run, layer: int) -> tf.Tensor:
        weights = self.weights(run, run.attentions(layer))
        cells = weights.resized(tuple(run.activations[layer].shape[1:-1])).cells
        assert cells is not None  # the keys of an attention have a place
        return cells


class AttentionSum(AttentionMethod):
    """A method of what each attention alone says of its keys: the mean over all attentions. Cost: one backward pass."""

    cost = "one forward pass, one backward pass to the first attention"
    cost_class = "backward"

    @abstractmethod
    def combine(self, attention: Attention, rows: tf.Tensor) -> tf.Tensor:
        """Return what an attention says of its keys, ``(N, windows, keys)``.

        `rows`, ``(N, windows, queries)``, say how much of what is read behind the last attention each query is: of a
        class token, 1 at it and 0 at the patches. They sum to 1 over all windows.
        """

    def chosen(self, run: Run, attentions: list[Attention]) -> list[Attention]:
        """Return the attentions that count: all."""
        return attentions

    def weights(self, run: Run, attentions: list[Attention]) -> TokenWeights:
        """Return the mean of what each attention says, at the finest grid of all."""
        rows = rows_read(run, attentions)
        chosen = self.chosen(run, attentions)
        each = [TokenWeights.of(one.keys, self.combine(one, rows[one.keys])) for one in chosen]
        finest = max((one.keys.grid for one in chosen), key=math.prod)
        total = each[0].resized(finest, mean_matrix)
        for one in each[1:]:
            total = total.plus(one.resized(finest, mean_matrix))
        return total.times(1.0 / len(each))


class AttentionFlow(AttentionMethod):
    """A method of how what is read behind the last attention goes back through all of them to the tokens.

    Only what is read is followed, a vector, not the tables of all pairs of tokens: each attention costs a product of a
    row and a matrix.
    """

    #: Whether half of what a token has comes from others, so that the sum stays 1; otherwise it is added.
    halves: ClassVar[bool] = False

    @abstractmethod
    def mixture(self, attention: Attention) -> tf.Tensor:
        """Return how much of each key a query takes, ``(N, windows, queries, keys)``."""

    def weights(self, run: Run, attentions: list[Attention]) -> TokenWeights:
        """Return what is read, as it is before the first of the attentions.

        Where it is added, what a token has of itself before any is left out.
        """
        read, gained = tokens_read(run, attentions), None
        for attention in reversed(attentions):
            asked = read.at(attention.queries)
            taken = TokenWeights.of(attention.keys, tf.einsum("nwq,nwqk->nwk", asked, self.mixture(attention)))
            if not attention.has_residual:
                read = gained = taken
            elif self.halves:
                own = TokenWeights.of(attention.queries, asked)
                read = read.plus(taken.times(0.5)).plus(own.times(-0.5))
            else:
                read, gained = read.plus(taken), taken if gained is None else taken.plus(gained)
        return read if self.halves or gained is None else gained


def rows_read(run: Run, attentions: list[Attention]) -> dict[TokenPlaces, tf.Tensor]:
    """Return how much each query ``(N, windows, queries)`` is of what is read behind the last attention.

    By the keys of their attention, which those of another run of it share.
    """
    read, rows = tokens_read(run, attentions), {}
    for attention in reversed(attentions):
        rows[attention.keys] = read.at(attention.queries)
        if not attention.has_residual:
            # Where a pooling reads all keys, each counts alike.
            shape = (tf.shape(attention.probabilities)[0], *attention.keys.numbers.shape)
            read = TokenWeights.of(attention.keys, tf.fill(shape, 1.0 / attention.keys.numbers.size))
    return rows


def tokens_read(run: Run, attentions: list[Attention]) -> TokenWeights:
    """Return how much each token of the last attention is read, behind it, by what the model puts out; they sum to 1.

    A class token alone, or all tokens alike: those that the gradient of the output is not zero at.
    """
    last = attentions[-1]
    outputs = [tf.cast(one, tf.float32) for one in tf.nest.flatten(run.outputs)]
    ends = tf.add_n([tf.reduce_sum(tf.square(one), axis=list(range(1, one.shape.rank))) for one in outputs])
    [again] = with_gradients([last.softmax], ends, run.axis_origins, run.is_half)
    read = tf.cast(tf.reduce_any(again.gradients != 0.0, axis=(2, 4)), tf.float32)
    # A saturated output has no gradient: all of them.
    read = tf.where(tf.reduce_any(read > 0.0, axis=(1, 2), keepdims=True), read, tf.ones_like(read))
    return TokenWeights.of(last.queries, read / tf.reduce_sum(read, axis=(1, 2), keepdims=True))
