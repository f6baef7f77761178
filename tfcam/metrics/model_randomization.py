"""The model parameter randomization test."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfcam.engine import Report
from tfcam.metrics.base import PerturbedBatch, RandomizedModel, SimilarityMetric
from tfcam.registry import unused


class ModelRandomization(SimilarityMetric):
    r"""Does the map stay the same when the model has forgotten what it learned?

    .. math:: \frac{1}{T} \sum_{t=1}^{T} \text{similarity}(L, L_t)

    where :math:`L_t` is the map of the same model with the weights of stage t drawn anew. A map that stays
    alike does not look at what the model learned, however good it looks: Guided Grad-CAM's is such a one.

    Each layer's weights are drawn by its own initializers, from a seed of its own, which keeps the scale of the
    activations; they are the model's own again afterwards. While it is measured, the model must not be used elsewhere.

    Parameters
    ----------
    order : {"cascading", "independent", "bottom-up"}
        From the output towards the input, each stage together with those before; one stage at a time; or from the input
        towards the output.
    stages : int or None
        In how many steps, of about as many layers each. None: layer by layer.
    seed : int

    Warnings
    --------
    Activations of untrained layers still hold edges of the image, so that even a sound method's maps stay a little
    alike: compare with `RandomCAM`, and with other methods, not with 0. Behind a layer that is explained by its
    activations alone nothing changes in the first stages of a cascade.

    Notes
    -----
    Averaging the maps of noisy images first, as in the smooth variant of Hedström et al., is ``smooth="noise"`` of the
    explainer; what they make of the entropy of maps is `EMPRT`. From the input on, activations do not survive: Binder
    et al., CVPR 2023. Xplique draws all weights evenly from 0 to 1, the variances of normalisations too.

    References
    ----------
    Adebayo et al., Sanity checks for saliency maps, NeurIPS 2018, arXiv:1810.03292.
    """

    name = "model-randomization"
    question = "does the map stay the same when the model has forgotten what it learned?"
    higher_is_better = False
    cost = "one explanation for each stage"
    paper = "Adebayo et al., NeurIPS 2018"

    def __init__(
        self, *arguments: Any, order: str = "cascading", stages: int | None = 8, seed: int = 0, **named: Any
    ) -> None:
        super().__init__(*arguments, **named)
        if order not in ("cascading", "independent", "bottom-up"):
            raise ValueError(f"order={order!r} is none of 'cascading', 'independent' and 'bottom-up'.")
        if stages is not None and stages < 1:
            raise ValueError(f"stages={stages!r} must be at least 1, or None for every layer.")
        self.order, self.stages = order, stages
        self._randomized_model = RandomizedModel(seed)

    def check_explainer(self, explainer: Any) -> None:
        """Refuse functions."""
        super().check_explainer(explainer)
        self._randomized_model.check(explainer, type(self).__name__)

    def values(self, batch: PerturbedBatch) -> np.ndarray:
        """Return the mean similarity over the stages."""
        return np.mean(list(self._by_stage(batch).values()), axis=0)

    def similarities(self, heatmaps: Any, explainer: Any, *, progress: bool | Report = False) -> dict[str, np.ndarray]:
        """Return how alike each map stays, ``(N,)`` after each stage, by the layer that is drawn anew last.

        Arguments as for `per_sample`.
        """
        parts = list(self._each(self._by_stage, heatmaps, explainer, progress))
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _by_stage(self, batch: PerturbedBatch) -> dict[str, np.ndarray]:
        layers, found = self._randomized_model.layers(batch), dict[str, np.ndarray]()
        for indices in self._stages(len(layers)):
            name = unused(layers[indices[-1]].name, found)
            found[name] = self.alike(batch, self._randomized_model.maps(batch, indices))
        return found

    def _stages(self, layers: int) -> list[list[int]]:
        """Return the layers that are drawn anew in each stage, the last one last."""
        ordered = list(range(layers)) if self.order == "bottom-up" else list(range(layers))[::-1]
        ends = np.linspace(0, layers, min(self.stages or layers, layers) + 1).round().astype(int)
        starts = ends[:-1] if self.order == "independent" else np.zeros(len(ends) - 1, int)
        return [ordered[start:end] for start, end in zip(starts, ends[1:], strict=True)]
