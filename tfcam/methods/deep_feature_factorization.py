"""Deep Feature Factorization."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import tensorflow as tf

from tfcam.engine import Explanations, MapOptions, Run
from tfcam.layers import Align
from tfcam.methods.base import Explainer
from tfcam.operators.classification import units_of
from tfcam.ops.masks import folded
from tfcam.ops.nmf import nonnegative_factors
from tfcam.ops.normalize import unit_maximum
from tfcam.ops.pca import cells_of

#: How often the factors are updated.
_ITERATIONS = 200


@dataclass(frozen=True)
class Concepts:
    """What a layer sees in several images, as a few concepts.

    Attributes
    ----------
    maps : tf.Tensor
        ``(N, concepts, *grid, 1)``: where each concept is, resized to the input or not; how much, in the same unit for
        all images.
    vectors : tf.Tensor
        ``(concepts, K)``: what each concept is, in channels, of length 1.
    contributions : tf.Tensor
        ``(N, concepts, C)``: how much each concept of an image, alone in the layer, raises each explained output.
    """

    maps: tf.Tensor
    vectors: tf.Tensor
    contributions: tf.Tensor


class DeepFeatureFactorization(Explainer):
    r"""Which concepts does the layer see, and which of them speak for the class?

    .. math:: X \approx H W, \qquad H, W \geq 0, \qquad
              L = \sum_j \big(S(H_j W_j) - S(0)\big) \frac{H_j}{\max H_j}

    The rows of :math:`X` are the cells of the layer, its columns the channels: column :math:`H_j` says where concept
    :math:`j` is, row :math:`W_j` what it is. The map shows the concepts, each by what the score gains from it when it
    is alone in the layer. `concepts` gives the parts themselves, of one or of several images together.
    Cost: one forward pass, the head once for each concept and once for none, and the factorization.

    Parameters
    ----------
    count : int
        How many concepts.
    seed : int
        Of the random factors that the factorization starts from.

    Warnings
    --------
    Activations below zero are taken for zero: choose the activation that follows a layer. What a concept is, depends on
    how many there are; and one that the class needs together with another may seem to say nothing alone.

    Notes
    -----
    The maps of the concepts are the paper's; what they contribute is ours, and holds for any head. pytorch-grad-cam
    subtracts each channel's minimum first, and multiplies the concepts with a classifier's weights.

    References
    ----------
    Collins et al., Deep Feature Factorization for Concept Discovery, ECCV 2018, arXiv:1806.10206.
    """

    name = "deep-feature-factorization"
    family = "decomposition"
    question = "which concepts does the layer see, and which of them speak for the class?"
    cost = "one forward pass, the head once for each concept, a factorization"
    cost_class = "few"
    assumes_nonnegative = "the method takes what is below zero for zero"
    paper = "Collins et al., ECCV 2018"

    def __init__(self, *arguments: Any, count: int = 5, seed: int = 0, **named: Any) -> None:
        if count < 1:
            raise ValueError(f"count={count} concepts are none: give at least 1.")
        self.count, self.seed = count, seed
        super().__init__(*arguments, **named)

    def concepts(self, inputs: Any, *, resize: bool | str = True, align: Align = None) -> Concepts:
        """Return the concepts of images, factorized together, of the first explained layer.

        Parameters
        ----------
        inputs : as for `explain`
            Arrays; all are held in memory at once.
        resize, align : as for `explain`
        """
        options = MapOptions.read(resize, False, align)
        [(images, _)] = self.session.batches(inputs, most=int(tf.int64.max))
        options = Explanations(self.session, self, options).settled(images).options
        return Concepts(*self.session.compute(_ConceptsFormula(self, options), images))

    def maps(self, run: Run) -> list[tf.Tensor]:
        """Return the maps of each layer."""
        return [self._map(run, layer) for layer in range(len(run.activations))]

    def _map(self, run: Run, layer: int) -> tf.Tensor:
        activations = tf.nn.relu(run.activations[layer])
        where, what = nonnegative_factors(cells_of(activations), self.count, _ITERATIONS, self.seed)
        where = _parts(where, what, activations)
        scores = tf.reshape(_alone(run, layer, where, what).scores(), [-1, self.count + 1])
        gains = scores[:, : self.count] - scores[:, self.count :]
        return tf.einsum("nj,nj...->n...", gains, tf.reshape(unit_maximum(folded(where)), tf.shape(where)))

    def concepts_of(self, run: Run, resize: bool) -> tuple[tf.Tensor, ...]:
        """Return where the concepts are, what they are, and what each contributes, as `concepts` gives them."""
        activations = tf.nn.relu(run.activations[0])
        cells = cells_of(activations)
        together = tf.reshape(cells, [1, -1, cells.shape[-1]])
        where, what = nonnegative_factors(together, self.count, _ITERATIONS, self.seed)
        length = tf.norm(what, axis=2)
        where, what = where * length[:, None], tf.math.divide_no_nan(what, length[..., None])
        images = tf.shape(cells)[0]
        where = _parts(tf.reshape(where, [images, -1, self.count]), what, activations)
        outputs = units_of(_alone(run, 0, where, tf.repeat(what, images, axis=0)).outputs)
        outputs = tf.reshape(outputs, [-1, self.count + 1, outputs.shape[-1]])
        maps = run.placement.resized(folded(where)) if resize else folded(where)
        maps = tf.reshape(maps, tf.concat([[-1, self.count], tf.shape(maps)[1:]], 0))
        return maps[..., None], what[0], outputs[:, : self.count] - outputs[:, self.count :]


@dataclass(frozen=True)
class _ConceptsFormula:
    """The parts of `Concepts`, as tensors of a run."""

    method: DeepFeatureFactorization
    options: MapOptions

    def __call__(self, run: Run) -> tuple[tf.Tensor, ...]:
        """Return them in their order."""
        return self.method.concepts_of(replace(run, alignment=self.options.alignment), self.options.resize)


def _parts(where: tf.Tensor, what: tf.Tensor, activations: tf.Tensor) -> tf.Tensor:
    """Return where the concepts are, ``(N, cells, concepts)``, as ``(N, concepts, *grid)``."""
    shape = tf.shape(activations)
    parts = tf.reshape(tf.transpose(where, [0, 2, 1]), tf.concat([shape[:1], tf.shape(what)[1:2], shape[1:-1]], 0))
    return tf.ensure_shape(parts, (None, None, *activations.shape[1:-1]))


def _alone(run: Run, layer: int, where: tf.Tensor, what: tf.Tensor) -> Run:
    """Return the head on each concept alone, and on none: ``(N * (concepts + 1), *grid, K)``."""
    each = tf.einsum("nj...,njk->nj...k", where, what)
    each = tf.concat([each, tf.zeros_like(each[:, :1])], axis=1)
    each = tf.ensure_shape(each, (None, None, *run.activations[layer].shape[1:]))
    return run.head(folded(each), layer)
