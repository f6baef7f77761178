"""The base of metrics of axioms: channel contributions to a map against score changes without each channel.

The maps are those of the layer, with their sign and their scale, as the method's formula gives them.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
import tensorflow as tf

from tfcam.engine import MapOptions, ModelSession, Run
from tfcam.methods.ablation_cam import AblationCAM
from tfcam.methods.base import Explainer, Method, spatial_axes
from tfcam.metrics.base.metric import Metric
from tfcam.metrics.base.perturbed_batch import PerturbedBatch


class _Contributions(ModelSession):
    """What each channel contributes to the map of a method, ``(N, K)``, and the score that it explains, ``(N,)``."""

    def __init__(self, explainer: Explainer) -> None:
        self._explainer = explainer
        super().__init__(**explainer.arguments)

    def compute(self, run: Run, options: MapOptions) -> dict[str, tf.Tensor]:
        """Return both."""
        [each] = self._explainer.of_channels(run)
        scores = self._explainer.rescored(run).scores()
        return {"scores": scores, "contributed": tf.reduce_sum(each, spatial_axes(each))}

    def findings(self, run: Run) -> dict[str, tf.Tensor]:
        """Return nothing: the method has said it."""
        return {}


class _Losses(AblationCAM):
    """What the score that a method explains loses without each channel, ``(N, K)``."""

    def __init__(self, explainer: Explainer) -> None:
        self._explainer = explainer
        super().__init__(**explainer.arguments)

    def are_of(self, explainer: Explainer) -> bool:
        """Whether they are those of an explainer: of its model and layer, and the score that it explains."""
        own = self._explainer
        if explainer is own:
            return True
        plain = all(type(one).rescored is Method.rescored for one in (explainer, own))
        same_layer = explainer.model is own.model and explainer.conv_layer == own.conv_layer
        return plain and same_layer and own.explains_as(explainer)

    def compute(self, run: Run, options: MapOptions) -> tf.Tensor:
        """Return the losses."""
        return self.maps(self._explainer.rescored(run))[0]

    def combine(self, features: tf.Tensor, scores: tf.Tensor, perturbed: tf.Tensor) -> tf.Tensor:
        """Return the losses."""
        return scores[:, None] - perturbed

    def findings(self, run: Run) -> dict[str, tf.Tensor]:
        """Return nothing: the method has said it."""
        return {}


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
        self._contributions: dict[int, _Contributions] = {}
        self._losses: list[_Losses] = []

    @abstractmethod
    def error(self, batch: PerturbedBatch, scores: np.ndarray, contributed: np.ndarray) -> np.ndarray:
        """Return the errors ``(N,)`` of scores ``(N,)`` and what the channels contribute, ``(N, K)``."""

    def values(self, batch: PerturbedBatch) -> np.ndarray:
        """Return the error of each map."""
        if _obstacle(batch.explainer):
            return np.full(batch.count, np.nan)
        explainer: Any = batch.explainer
        if id(explainer) not in self._contributions:
            self._contributions[id(explainer)] = _Contributions(explainer)
        found = _computed(self._contributions[id(explainer)], batch)
        return self.error(batch, found["scores"][:, 0], found["contributed"][..., 0])

    def losses(self, batch: PerturbedBatch) -> np.ndarray:
        """Return what the score loses without each channel, ``(N, K)``; once for all methods of a layer and score."""
        explainer: Any = batch.explainer
        losses = next((one for one in self._losses if one.are_of(explainer)), None)
        if losses is None:
            losses = _Losses(explainer)
            self._losses.append(losses)
        return batch.shared(losses, lambda: _computed(losses, batch)[..., 0])

    def check_explainer(self, explainer: Any) -> None:
        """Refuse explainers whose maps are no sum over the channels of one layer."""
        super().check_explainer(explainer)
        if problem := _obstacle(explainer):
            raise ValueError(f"{type(self).__name__} is of what each channel contributes to a map, and {problem}.")


def _computed(computation: ModelSession, batch: PerturbedBatch) -> Any:
    """Return what is computed of a batch, as float64; traced once for all batches."""
    [one] = computation.explanations(batch.inputs, batch.targets, MapOptions())
    return tf.nest.map_structure(lambda part: np.asarray(part, np.float64), one.maps)


def _obstacle(explainer: Any) -> str:
    """Return why an explainer has no contributions of channels; empty where it has."""
    if not isinstance(explainer, Explainer):
        return f"{type(explainer).__name__} is no tfcam.Explainer"
    if not explainer.sums_channels or explainer.gives_one_map:
        return f"the map of {type(explainer).__name__} is no sum of that"
    if isinstance(explainer.conv_layer, list):
        return f"it explains {len(explainer.conv_layer)} layers: give an explainer of one"
    return ""
