"""The base of metrics of axioms: channel contributions to a map against score changes without each channel.

The maps are those of the layer, with their sign and their scale, as the method's formula gives them.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfcam.engine import Formula, Run
from tfcam.methods.ablation_cam import AblationCAM
from tfcam.methods.base import Explainer, Method, spatial_axes
from tfcam.metrics.base.metric import Metric
from tfcam.metrics.base.perturbed_batch import PerturbedBatch


@dataclass(frozen=True)
class _Contributions:
    """What each channel contributes to the map of a method, ``(N, K)``, and the score that it explains, ``(N,)``."""

    explainer: Explainer

    def __call__(self, run: Run) -> dict[str, tf.Tensor]:
        """Return both."""
        [each] = self.explainer.of_channels(run)
        scores = self.explainer.rescored(run).scores()
        return {"scores": scores, "contributed": tf.reduce_sum(each, spatial_axes(each))}


class _Losses(AblationCAM):
    """What the score that a method explains loses without each channel, ``(N, K)``."""

    def __init__(self, explainer: Explainer) -> None:
        self._explainer = explainer
        super().__init__(**explainer.session.arguments)

    def are_of(self, explainer: Explainer) -> bool:
        """Whether they are those of an explainer: of its model and layer, and the score that it explains."""
        own = self._explainer
        if explainer is own:
            return True
        plain = all(type(one).rescored is Method.rescored for one in (explainer, own))
        same_layer = explainer.model is own.model and explainer.conv_layer == own.conv_layer
        return plain and same_layer and own.session.explains_as(explainer.session)

    def losses(self, run: Run) -> tf.Tensor:
        """Return the losses."""
        return self.maps(self._explainer.rescored(run))[0]

    def combine(self, features: tf.Tensor, scores: tf.Tensor, perturbed: tf.Tensor) -> tf.Tensor:
        """Return the losses."""
        return scores[:, None] - perturbed


class AxiomMetric(Metric):
    """A metric of how far the channels' contributions are from what an axiom asks.

    It is of the method and the score that it explains, a logit where there is one, whatever the maps are shown as, and
    needs what made them: ``evaluate(heatmaps, explainer)``. Of methods whose map is no sum over channels it is NaN in a
    table, and an error elsewhere.
    """

    family = "axioms"
    higher_is_better = False
    bounds = (0.0, np.inf)
    needs_explainer = True
    needs_contrast = False

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._losses: list[_Losses] = []

    @abstractmethod
    def error(self, batch: PerturbedBatch, scores: np.ndarray, contributed: np.ndarray) -> np.ndarray:
        """Return the errors ``(N,)`` of scores ``(N,)`` and what the channels contribute, ``(N, K)``."""

    def values(self, batch: PerturbedBatch) -> np.ndarray:
        """Return the error of each map."""
        if _obstacle(batch.explainer):
            return np.full(batch.count, np.nan)
        explainer: Any = batch.explainer
        found = _computed(explainer, _Contributions(explainer), batch)
        return self.error(batch, found["scores"], found["contributed"])

    def losses(self, batch: PerturbedBatch) -> np.ndarray:
        """Return what the score loses without each channel, ``(N, K)``; once for all methods of a layer and score."""
        explainer: Any = batch.explainer
        losses = next((one for one in self._losses if one.are_of(explainer)), None)
        if losses is None:
            losses = _Losses(explainer)
            self._losses.append(losses)
        return batch.shared(losses, lambda: _computed(losses, losses.losses, batch))

    def check_explainer(self, explainer: Any) -> None:
        """Refuse explainers whose maps are no sum over the channels of one layer."""
        super().check_explainer(explainer)
        if problem := _obstacle(explainer):
            raise ValueError(f"{type(self).__name__} is of what each channel contributes to a map, and {problem}.")


def _computed(explainer: Explainer, formula: Formula, batch: PerturbedBatch) -> Any:
    """Return what a formula gives of a batch, as float64; compiled once for all batches."""
    [(inputs, targets)] = explainer.session.batches(batch.inputs, batch.targets, batch.count)
    values = explainer.session.compute(formula, inputs, explainer.session.known.read(targets, batch.count))
    return tf.nest.map_structure(lambda part: np.asarray(part, np.float64), values)


def _obstacle(explainer: Any) -> str:
    """Return why an explainer has no contributions of channels; empty where it has."""
    if not isinstance(explainer, Explainer):
        return f"{type(explainer).__name__} is no tfcam.Explainer"
    if not explainer.sums_channels or explainer.gives_one_map:
        return f"the map of {type(explainer).__name__} is no sum of that"
    if isinstance(explainer.conv_layer, list):
        return f"it explains {len(explainer.conv_layer)} layers: give an explainer of one"
    return ""
