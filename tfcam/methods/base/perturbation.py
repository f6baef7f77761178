"""Families that mask activations or inputs, in chunks: a method gives the masks and combines the scores."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, TypeAlias

import tensorflow as tf

from tfcam.engine import Run
from tfcam.engine.run import Score
from tfcam.methods.base.explainer import Explainer
from tfcam.operators.base import Operator
from tfcam.operators.classification import log_probability
from tfcam.ops.baselines import find_baseline
from tfcam.ops.blur import GROUP_CAM
from tfcam.ops.loops import in_turn
from tfcam.ops.masks import folded

# How many numbers a chunk of perturbations may hold: 16 MiB. benchmarks/perturbation.py: fewer leave the cores idle on
# small layers, more gain nothing and multiply in the model's own memory.
_CHUNK_NUMBERS = 2**22

#: From the numbers ``(c,)`` of perturbations to their scores ``(N, c)``.
PerturbedScores: TypeAlias = Callable[[tf.Tensor], tf.Tensor]


class _PerturbationMethod(Explainer):
    """A method of the scores that perturbations of a run leave, taken in chunks, one after the other."""

    cost_class = "many"

    def features(self, run: Run, layer: int) -> tf.Tensor:
        """Return what the masks and the map are made of, ``(N, *grid, K)`` float32: the activations."""
        return run.activations[layer]

    def count(self, features: tf.Tensor) -> tf.Tensor:
        """Return the number of perturbations: one for each channel."""
        return tf.shape(features)[-1]

    @abstractmethod
    def combine(self, features: tf.Tensor, scores: tf.Tensor, perturbed: tf.Tensor) -> tf.Tensor:
        """Return signed maps ``(N, *grid)`` from scores ``(N,)`` and those of the perturbations, ``(N, count)``."""

    def rescored(self, run: Run) -> Run:
        """Return the run with what its operator measures of perturbed images for its score."""
        return as_measured(run)

    def maps(self, run: Run) -> list[tf.Tensor]:
        """Return the maps of each layer."""
        return [self._map(run, layer, self.features(run, layer)) for layer in range(len(run.activations))]

    def _map(self, run: Run, layer: int, features: tf.Tensor) -> tf.Tensor:
        perturbed_scores, numbers = self._perturbed_scores(run, layer, features)
        return self.combine(features, run.scores(), in_chunks(perturbed_scores, self.count(features), numbers))

    @abstractmethod
    def _perturbed_scores(self, run: Run, layer: int, features: tf.Tensor) -> tuple[PerturbedScores, tf.Tensor]:
        """Return the function that perturbs, and how many numbers a perturbation of all images holds."""


def in_chunks(perturbed_scores: PerturbedScores, count: tf.Tensor, numbers: tf.Tensor) -> tf.Tensor:
    """Return the scores ``(N, count)`` of so many perturbations of so many numbers each."""
    chunk = chunk_size(count, numbers)
    # The last chunk is filled up with the first perturbations, so that one trace serves all.
    starts = tf.range(0, count, chunk)
    chunks = in_turn(lambda start: perturbed_scores(tf.range(start, start + chunk) % count), starts, tf.float32)
    images = tf.transpose(chunks, [1, 0, 2])
    return tf.reshape(images, (tf.shape(images)[0], -1))[:, :count]


def chunk_size(count: Any, numbers: tf.Tensor) -> tf.Tensor:
    """Return how many of `count` things of so many numbers are made at once: as equal chunks as there can be."""
    most = tf.cast(tf.clip_by_value(_CHUNK_NUMBERS // numbers, 1, tf.cast(count, tf.int64)), tf.int32)
    return -(-count // -(-count // most))


class ActivationPerturbation(_PerturbationMethod):
    """A method of masked activations. Cost: one forward pass, and the head for each mask.

    Where the score is an affine function of the activations, as behind a global average pooling and a Dense layer, no
    head is run: ``S(A * M) = S(A) - sum(g * A * (1 - M))``, with the gradient g of one backward pass.
    """

    family = "activation perturbation"
    cost = "one forward pass, the head for each channel"

    @abstractmethod
    def masks(self, activations: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
        """Return the masks of these numbers ``(c,)``, broadcastable to ``(N, c, *grid, K)``."""

    def _perturbed_scores(self, run: Run, layer: int, features: tf.Tensor) -> tuple[PerturbedScores, tf.Tensor]:
        activations, numbers = run.activations[layer], tf.size(run.activations[layer], out_type=tf.int64)
        if run.is_affine(layer):
            scores, contributions = run.scores(), run.gradients()[layer] * activations
            return lambda indices: _affine(scores, contributions, self.masks(features, indices)), numbers

        def perturbed_scores(indices: tf.Tensor) -> tf.Tensor:
            masked = activations[:, None] * self.masks(features, indices)
            return _unfolded(run.head(folded(masked), layer).scores(), indices)

        return perturbed_scores, numbers


def _affine(scores: tf.Tensor, contributions: tf.Tensor, masks: tf.Tensor) -> tf.Tensor:
    """Return the scores ``(N, c)`` that masks leave of those that are the sum of contributions and a constant."""
    alike = [axis for axis in range(1, contributions.shape.rank) if masks.shape[axis + 1] == 1]
    contributions = tf.reduce_sum(contributions, axis=alike, keepdims=True)
    shape = tf.shape(masks)
    flat = tf.reshape(1.0 - masks, [shape[0], shape[1], -1])
    lost = tf.matmul(flat, tf.reshape(contributions, [tf.shape(contributions)[0], -1, 1]))
    return scores[:, None] - lost[..., 0]


class InputPerturbation(_PerturbationMethod):
    """A method of masked inputs. Cost: one forward pass, and one more for each mask.

    Parameters
    ----------
    baseline : float, array (channels,), "mean", "blur" or callable
        What is seen where a mask is 0, in the units of the preprocessed image; ``"blur"``: the image blurred;
        ``"mean"``: its mean colour; a function gives images for images ``(N, *grid, channels)``.
    """

    family = "input perturbation"
    cost = "one forward pass, and one for each channel"
    baseline: Any = 0.0

    def __init__(self, *arguments: Any, baseline: Any = None, **named: Any) -> None:
        self.baseline = find_baseline(self.baseline if baseline is None else baseline, GROUP_CAM)
        super().__init__(*arguments, **named)

    @abstractmethod
    def masks(self, features: tf.Tensor, indices: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
        """Return the masks of these numbers ``(c,)``, broadcastable to ``(N, c, *input_grid)``.

        Images are ``(N, *input_grid, channels)``.
        """

    def perturbed(self, features: tf.Tensor, indices: tf.Tensor, images: tf.Tensor, unseen: Any) -> tf.Tensor:
        """Return the variants of these numbers, ``(N, c, *input_grid, channels)``: the images masked.

        `unseen` is what is seen where a mask is 0; None: zeros.
        """
        masks = self.masks(features, indices, images)[..., None]
        masked = images[:, None] * masks
        return masked if unseen is None else masked + unseen[:, None] * (1.0 - masks)

    def _perturbed_scores(self, run: Run, layer: int, features: tf.Tensor) -> tuple[PerturbedScores, tf.Tensor]:
        images = tf.cast(run.source(layer), tf.float32)
        unseen = None if self.baseline.is_zero else self.baseline.of(images)

        def perturbed_scores(indices: tf.Tensor) -> tf.Tensor:
            variants = self.perturbed(features, indices, images, unseen)
            return _unfolded(run.rerun(folded(variants), layer).scores(), indices)

        return perturbed_scores, tf.size(images, out_type=tf.int64)


def as_measured(run: Run) -> Run:
    """Return the run with the score that its operator measures of perturbed images."""
    operator = run.instrumented.operator
    if type(operator).measured is Operator.measured:
        return run
    return _valued(run, operator.measured)


def as_probability(run: Run) -> Run:
    """Return the run of a class's score with the probability in its place, of any other score as it is measured."""
    if not run.instrumented.operator.has_probability:
        return as_measured(run)
    return _valued(run, lambda again: tf.exp(log_probability(again)))


def _valued(run: Run, value: Score) -> Run:
    """Return the run with other values for its scores; gradients are those of the score.

    That of a probability vanishes where the model is sure, and a detection is matched to no one prediction.
    """

    def change(score: Score) -> Score:
        def valued(again: Run) -> tf.Tensor:
            before = score(again)
            return before + tf.stop_gradient(value(again) - before)

        return valued

    return run.scored(change)


def _unfolded(scores: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
    return tf.reshape(scores, (-1, tf.shape(indices)[0]))
