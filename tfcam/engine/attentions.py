"""The attentions of a run: what each softmax over tokens gave, and its gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial

import tensorflow as tf

from tfcam.graph.affine import reaches
from tfcam.graph.attention_keys import compared
from tfcam.graph.attentions import Softmax, softmaxes
from tfcam.graph.axis_origins import AxisOrigins
from tfcam.graph.token_places import NoPlace, TokenPlaces
from tfcam.graph.traversal import flow, gradients_of
from tfcam.layers import LayerCall
from tfcam.ops.loss_scaling import scaled_gradients

_INSTEAD = "a method of activations, such as HiResCAM or LayerCAM"


@dataclass(frozen=True, eq=False)
class Attention:
    """One attention of a run.

    Of windows, tokens of one window attend to each other alone, so the tables stay small; `matrix` has all tokens.

    Attributes
    ----------
    softmax : Softmax
        The operation in the graph.
    """

    softmax: Softmax
    _gradients: Callable[[], tf.Tensor] = field(repr=False)
    _origins: AxisOrigins = field(repr=False)

    @cached_property
    def probabilities(self) -> tf.Tensor:
        """What the softmax gave, ``(N, windows, heads, queries, keys)`` float32; its rows sum to 1."""
        return _native(self.softmax, self.softmax.output)

    @cached_property
    def logits(self) -> tf.Tensor:
        """What the softmax was of, of the same shape."""
        return _native(self.softmax, self.softmax.logits)

    @cached_property
    def cosines(self) -> tf.Tensor:
        """How alike queries and keys are, ``(N, windows, queries, keys)`` over all heads, times the query's length.

        Raises
        ------
        ValueError
            Where no product of queries and keys is known.
        """
        found = compared(self.softmax, self._origins)
        if found is None:
            raise ValueError(
                f"The attention {self.name!r} is of no product of queries and keys, and this method compares these: "
                "take AttentionRelevance or AGCAM, which do not."
            )
        products, lengths = (tf.reduce_sum(one, axis=2) for one in found)
        return tf.math.divide_no_nan(products, tf.sqrt(lengths))

    @property
    def name(self) -> str:
        """The name of the operation in the model's graph."""
        return self.softmax.name

    @property
    def queries(self) -> TokenPlaces:
        """Which tokens ask."""
        return self.softmax.queries

    @property
    def keys(self) -> TokenPlaces:
        """Which tokens are attended to."""
        return self.softmax.keys

    @property
    def gradients(self) -> tf.Tensor:
        """The gradient of the summed scores for the probabilities, of their shape."""
        return self._gradients()

    @property
    def has_residual(self) -> bool:
        """Whether what asks stays beside what it is told, as tokens do; the learned query of a pooling does not."""
        return bool(self.queries.grid) or not self.softmax.learned_queries

    def matrix(self, values: tf.Tensor | None = None) -> tf.Tensor:
        """Return values of its shape, or its probabilities, as ``(N, heads, queries, keys)`` of all tokens.

        Tokens of different windows have 0 for each other.
        """
        values = self.probabilities if values is None else values
        if self.queries.is_plain and self.keys.is_plain:
            return values[:, 0]
        pairs = self.queries.numbers[:, :, None] * self.keys.count + self.keys.numbers[:, None, :]
        images, heads = tf.shape(values)[0], values.shape[2]
        each = tf.reshape(tf.transpose(values, (1, 3, 4, 0, 2)), (pairs.size, images * heads))
        table = tf.math.unsorted_segment_sum(each, pairs.ravel(), self.queries.count * self.keys.count)
        table = tf.reshape(table, (self.queries.count, self.keys.count, images, heads))
        return tf.transpose(table, (2, 3, 0, 1))


def attentions_of(
    ends: Sequence[tf.Tensor],
    origins: AxisOrigins,
    given: tf.Tensor,
    scores: tf.Tensor,
    layer: tuple[LayerCall, tf.Tensor],
    model: str,
) -> list[Softmax]:
    """Return the attentions behind a layer that scores are computed from, in the order in which they are computed.

    Parameters
    ----------
    ends : sequence of tf.Tensor
        What the model puts out.
    origins : AxisOrigins
        Those of its graph.
    given : tf.Tensor
        The input that the layer has its grid from.
    scores : tf.Tensor
    layer : (LayerCall, tf.Tensor)
        The layer, and what it put out.
    model : str
        What the model is called, for errors.

    Raises
    ------
    ValueError
        Where there are none, or it is not told where the tokens of one of them stand.
    """
    graph, (call, tensor) = ends[0].graph, layer
    try:
        found = softmaxes(graph, origins, ends, given, call.input_grid.index)
    except NoPlace as error:
        raise ValueError(
            f"An attention of model {model!r} is over tokens whose place in the image is not told: the model's "
            f"operation {error}, loses it. Take {_INSTEAD}, at a layer before it."
        ) from None
    found = [one for one in found if reaches(one.output, scores)]
    if not found:
        raise ValueError(
            f"No attention over cells of the image leads to the explained score of model {model!r}, and this method is "
            f"made of attentions: take {_INSTEAD}."
        )
    behind = flow(graph, {tensor.op: 1})
    behind_layer = [one for one in found if behind[one.output.op]]
    if not behind_layer:
        raise ValueError(
            f"No attention of model {model!r} comes behind conv_layer {call.address!r}, and this method is made of "
            f"those that do; the last is {found[-1].name!r}: name a layer before it, or leave conv_layer= off."
        )
    return behind_layer


def with_gradients(found: Sequence[Softmax], scores: tf.Tensor, origins: AxisOrigins, is_half: bool) -> list[Attention]:
    """Return the attentions of softmaxes, with the gradients of the summed scores, taken once where asked for."""
    taken: dict[int, list[tf.Tensor]] = {}

    def gradient(number: int) -> tf.Tensor:
        # That of the last one alone goes back through nothing before it; all others come together.
        first = number if number == len(found) - 1 else 0
        if first not in taken:
            taken[first] = _gradients(found[first:], scores, is_half)
        return taken[first][number - first]

    return [Attention(one, partial(gradient, number), origins) for number, one in enumerate(found)]


def _native(softmax: Softmax, tensor: tf.Tensor) -> tf.Tensor:
    return tf.cast(softmax.arranged(tensor), tf.float32)


def _gradients(found: Sequence[Softmax], scores: tf.Tensor, is_half: bool) -> list[tf.Tensor]:
    """Return the gradients of the summed scores for what softmaxes gave."""

    def backward(scales: tf.Tensor | None) -> list[tf.Tensor]:
        summed = tf.reduce_sum(scores if scales is None else scores * scales)
        native = gradients_of(summed, [one.output for one in found])
        given = [tf.zeros_like(one.output) if it is None else it for one, it in zip(found, native, strict=True)]
        return [_native(one, gradient) for one, gradient in zip(found, given, strict=True)]

    if not is_half:
        return backward(None)
    return scaled_gradients(backward, [_native(one, one.output) for one in found], tf.shape(scores)[0])
