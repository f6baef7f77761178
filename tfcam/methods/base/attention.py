"""Families of attentions: a method gives a formula of attentions and their gradients."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import tensorflow as tf

from tfcam.engine import Run
from tfcam.engine.attentions import Attention
from tfcam.engine.token_weights import TokenWeights
from tfcam.methods.base.explainer import Explainer
from tfcam.methods.base.single_pass import findings_of_gradients


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
        """Add gradients of zero, and probabilities, where a score is explained: those of the last attention tell."""
        found = super().findings(run)
        if not self.explains_scores:
            return found
        last = run.attentions(len(run.activations) - 1)[-1]
        return found | findings_of_gradients(run, [last.gradients])

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

    def chosen(self, attentions: list[Attention]) -> list[Attention]:
        """Return the attentions that count: all."""
        return attentions

    def weights(self, run: Run, attentions: list[Attention]) -> TokenWeights:
        """Return the mean of what each attention says, at the finest grid of all."""
        rows = _rows_read(attentions)
        each = [TokenWeights.of(one.keys, self.combine(one, rows[one.name])) for one in self.chosen(attentions)]
        return TokenWeights.mean(each)


class AttentionFlow(AttentionMethod):
    """A method of how what is read behind the last attention goes back through all of them to the tokens.

    Only what is read is followed, a vector, not the tables of all pairs of tokens: each attention costs a product of a
    row and a matrix.
    """

    #: Whether the map has what a token has of itself, before any attention, too.
    has_own: ClassVar[bool] = False

    @abstractmethod
    def mixture(self, attention: Attention) -> tf.Tensor:
        """Return how much of each key a query takes, ``(N, windows, queries, keys)``."""

    @abstractmethod
    def before(self, read: TokenWeights, asked: TokenWeights, taken: TokenWeights) -> TokenWeights:
        """Return what is read before an attention.

        `read` is what is read behind it, `asked` as much of it as the tokens that ask have, and `taken` what these take
        from others.
        """

    def weights(self, run: Run, attentions: list[Attention]) -> TokenWeights:
        """Return what is read before the first of the attentions."""
        for attention in attentions:
            if attention.queries.grid and attention.queries.index != attention.keys.index:
                raise ValueError(
                    f"{self.name} follows what is read from token to token, and those that ask in {attention.name!r} "
                    "are of another input than the image: take AGCAM, LeGrad or BiCAM, which take each by itself."
                )
        read = own = _tokens_read(attentions)
        for attention in reversed(attentions):
            asked = read.at(attention.queries)
            taken = TokenWeights.of(attention.keys, tf.einsum("nwq,nwqk->nwk", asked, self.mixture(attention)))
            if attention.has_residual:
                read = self.before(read, TokenWeights.of(attention.queries, asked), taken)
            else:
                # What a pooling asks with is no token.
                read, own = taken, taken.times(0.0)
        return read if self.has_own else read.plus(own.times(-1.0))


def _rows_read(attentions: list[Attention]) -> dict[str, tf.Tensor]:
    """Return, by their names, how much each query ``(N, windows, queries)`` is of what is read behind the last one."""
    read, rows = _tokens_read(attentions), {}
    for attention in reversed(attentions):
        rows[attention.name] = read.at(attention.queries)
        if not attention.has_residual:
            # Where a pooling reads all keys, each counts alike.
            shape = (tf.shape(attention.probabilities)[0], *attention.keys.numbers.shape)
            read = TokenWeights.of(attention.keys, tf.fill(shape, 1.0 / attention.keys.numbers.size))
    return rows


def _tokens_read(attentions: list[Attention]) -> TokenWeights:
    """Return how much each token that the last attention puts out is read behind it; they sum to 1.

    A class token alone, or all tokens alike: those at which the score has a gradient.
    """
    last = attentions[-1]
    read = tf.cast(tf.reduce_any(last.gradients != 0.0, axis=(2, 4)), tf.float32)
    # A saturated score has none anywhere: all of them.
    read = tf.where(tf.reduce_any(read > 0.0, axis=(1, 2), keepdims=True), read, tf.ones_like(read))
    return TokenWeights.of(last.queries, read / tf.reduce_sum(read, axis=(1, 2), keepdims=True))
