"""Evaluation of methods at layers: all maps and all metrics of a batch from shared passes."""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from tfcam.backend.keras_compat import is_keras
from tfcam.data.validation import count_of, read_batch_size, require_end
from tfcam.engine import MapOptions, Report
from tfcam.engine.progress import bar
from tfcam.evaluation.comparison import Comparison, needed_operator
from tfcam.evaluation.requests import explainers_at, find_metrics
from tfcam.evaluation.results import Evaluation, require_interval
from tfcam.layers import Align
from tfcam.methods.base import Explainer
from tfcam.metrics.base import GroundTruth, Metric, PerturbedBatch
from tfcam.metrics.base.scores import Batch, find_scores
from tfcam.operators import Operator, OperatorLike
from tfcam.ops.nearest import nearest
from tfcam.registry import unused

#: What ``masks=`` is where the explained region is the object.
REGION = "region"
#: A method and its layer.
Key = tuple[str, str]


def evaluate(
    model: Any,
    inputs: Any,
    targets: Any = None,
    methods: Iterable[str | type[Explainer] | Explainer] | None = None,
    layers: Any = None,
    metrics: Any = None,
    *,
    output_layer: Any = None,
    batch_size: int | None = 32,
    operator: OperatorLike = None,
    activation: str | None = "auto",
    masks: Any = None,
    boxes: Any = None,
    resize: bool | str = True,
    align: Align = None,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
    progress: bool | Report = False,
) -> Evaluation:
    """Rank methods and layers by what metrics say of their maps of this model.

    Of each batch, methods of one pass share a forward and a backward pass, and metrics the forward passes that they
    have in common: the scores of the images, of the baselines, of the same masked images, and those that do not depend
    on the maps.

    Parameters
    ----------
    model, output_layer, batch_size, operator : as for `tfcam.Explainer`
    inputs, targets, activation : as for `tfcam.metrics.Deletion`
    methods : iterable of str, Explainer classes, and explainers of this model, or None
        As for `tfcam.compare`. None: every method of one pass.
    layers : list of what ``conv_layer=`` may be, or None
        Each method at each of these layers; None: at its default. Methods that take no layer, or many, are evaluated
        once, as are explainers.
    metrics : list of str, Metric classes or (metric, options), dict of options by metric, or None
        ``{"deletion": {"percent": 10}, "road": {}}``. None: Insertion and Deletion in twenty steps, ROAD, MuFidelity,
        Average Drop and Gain, and ADCC; without those of probabilities where the operator gives other scores. With
        masks or boxes the pointing game, the energy-based one and the intersection over union, too.
    masks, boxes : as for `tfcam.metrics.PointingGame`, or None
        Where the object is in each image, for metrics of localisation. ``masks="region"``: the explained region of a
        segmentation, so that these metrics tell how much of a map lies in it, and how much around it.
    resize, align : as for `Explainer.explain`
        How the maps are laid over the images; they need the images' size.
    confidence, resamples, seed : float, int, int
        Of the bootstrap intervals.
    progress : bool or callable
        Whether a progress bar is shown; a function is told instead how many images are done.

    Returns
    -------
    Evaluation
        It prints as a table; ``.table`` is a pandas.DataFrame where there is pandas; ``.plot()``, ``.to_csv()`` and
        ``.to_json()``.

    Raises
    ------
    ValueError, TypeError
        As metrics and explainers do, before the model has run.
    """
    require_end(inputs)
    require_interval(confidence, resamples)
    in_region = isinstance(masks, str)
    if in_region and (masks != REGION or boxes is not None):
        raise ValueError(f"masks={masks!r}: give masks, or {REGION!r} alone for the region that is explained.")
    ground_truth = None if in_region or (masks is None and boxes is None) else GroundTruth(masks, boxes)
    evaluator = Evaluator(
        model,
        methods,
        layers,
        metrics,
        output_layer,
        batch_size,
        operator=operator,
        activation=activation,
        knows_objects=ground_truth is not None,
        in_region=in_region,
        resize=resize,
        align=align,
    )
    if ground_truth is not None:
        ground_truth.require_count(count_of(inputs))
    measured = Measured()
    with bar(count_of(inputs)) if progress is True else nullcontext(progress or None) as report:
        for batch in evaluator.batches(inputs, targets, ground_truth):
            measured.add(evaluator.measured(batch))
            if report:
                report(measured.count)
    return measured.evaluation(evaluator.metrics, confidence, resamples, seed)


@dataclass(frozen=True)
class BatchValues:
    """What a batch gave.

    Attributes
    ----------
    values : dict
        ``(n,)`` by ``(method, layer)`` and the name of the metric, or what the metric settles, ``(n, ...)``.
    seconds : dict of float
        What a map takes, by ``(method, layer)``.
    """

    values: dict[Key, dict[str, np.ndarray]]
    seconds: dict[Key, float]


class Measured:
    """What batches gave, one after the other."""

    def __init__(self) -> None:
        self._parts: list[BatchValues] = []
        self.count = 0

    def add(self, part: BatchValues) -> None:
        """Add what a batch gave."""
        self._parts.append(part)
        self.count += len(next(iter(next(iter(part.values.values())).values())))

    def evaluation(
        self, metrics: dict[str, Metric], confidence: float = 0.95, resamples: int = 2000, seed: int = 0
    ) -> Evaluation:
        """Return what all of them gave, by these metrics."""
        keys = list(self._parts[0].values)
        values = {
            key: {
                name: metric.settled(np.concatenate([part.values[key][name] for part in self._parts]))
                for name, metric in metrics.items()
            }
            for key in keys
        }
        directions = {name: metric.higher_is_better for name, metric in metrics.items()}
        # The first batch traces; where there are more, they tell what a map takes.
        timed = self._parts[1:] or self._parts
        seconds = {key: float(np.median([part.seconds[key] for part in timed])) for key in keys}
        return Evaluation(values, directions, seconds, confidence, resamples, seed)


class Evaluator:
    """Methods, layers and metrics of a model; arguments as for `evaluate`."""

    def __init__(
        self,
        model: Any,
        methods: Iterable[Any] | None,
        layers: Any,
        metrics: Any,
        output_layer: Any,
        batch_size: int | None,
        *,
        operator: OperatorLike,
        activation: str | None,
        knows_objects: bool = False,
        in_region: bool = False,
        resize: bool | str = True,
        align: Align = None,
    ) -> None:
        self._in_region = in_region
        self._options = MapOptions.read(resize, False, align)
        if not self._options.resize:
            raise ValueError("Metrics compare maps with images, of their size: resize=False is not for evaluate().")
        if not is_keras(model):
            raise TypeError(
                f"evaluate() explains the model, which must be a Keras model for that, got {type(model).__name__}; the "
                "metrics of tfcam.metrics take maps of yours, and any function."
            )
        self._batch_size = read_batch_size(batch_size)
        if methods is not None:
            methods = [methods] if isinstance(methods, (str, type)) else list(methods)
            operator = needed_operator(methods) if operator is None else operator
        self._scores = find_scores(model, output_layer, operator, activation)
        self.metrics = find_metrics(metrics, self._scores, knows_objects or in_region)
        same = {"model": model, "output_layer": output_layer, "batch_size": batch_size, "operator": operator}
        self._explainers = explainers_at(methods, layers, same)
        together = {name: one for name, one in self._explainers.items() if one.cost_class in ("forward", "backward")}
        self._comparison = Comparison(together, **same) if together else None
        self._alone: dict[str, float] = {}
        self._shown: dict[str, Any] = {"resize": resize, "align": align} if self._options.alignment else {}

    def batches(self, inputs: Any, targets: Any, ground_truth: GroundTruth | None = None) -> Iterator[Batch]:
        """Yield checked batches, with where their objects are."""
        found = self._scores.batches(inputs, targets, self._batch_size, ground_truth)
        return (_in_region(batch, self._scores.operator) for batch in found) if self._in_region else found

    def measured(self, batch: Batch) -> BatchValues:
        """Return the values of all metrics, of all methods and layers."""
        shared: dict[Hashable, Any] = {}
        values: dict[Key, dict[str, np.ndarray]] = {}
        seconds: dict[Key, float] = {}
        for name, (maps, took) in self._heatmaps(batch).items():
            explainer = self._explainers[name]
            perturbed = PerturbedBatch(
                self._scores, batch, _usable(maps), self._batch_size, explainer, shared, self._shown
            )
            layers = _layers_of(explainer)
            # Two layers that were asked for may be the same.
            key = unused(name.partition(" at ")[0], {one for one, there in values if there == layers}), layers
            values[key] = {label: metric.checked_values(perturbed) for label, metric in self.metrics.items()}
            seconds[key] = took / batch.count
        return BatchValues(values, seconds)

    def _heatmaps(self, batch: Batch) -> dict[str, tuple[tf.Tensor, float]]:
        """Return the maps by the names of explainers, and the seconds that they took."""
        found = {}
        if self._comparison is not None:
            [one] = self._comparison.explanations(batch.inputs, batch.targets, self._options)
            if not self._alone:
                self._alone = {name: self._seconds(name, batch) for name in one.maps}
            found = {name: (maps[..., 0], self._alone[name] * batch.count) for name, maps in one.maps.items()}
        for name in self._explainers.keys() - found.keys():
            found[name] = self._explained(name, batch)
        return {name: found[name] for name in self._explainers}

    def _explained(self, name: str, batch: Batch) -> tuple[tf.Tensor, float]:
        start = time.perf_counter()
        maps = self._explainers[name].explain(batch.inputs, batch.targets, **self._shown)[..., 0]
        return maps, time.perf_counter() - start

    def _seconds(self, name: str, batch: Batch) -> float:
        """Return what a map takes of an explainer alone, which shares its passes otherwise; the first run traces."""
        self._explained(name, batch)
        return self._explained(name, batch)[1] / batch.count


def _in_region(batch: Batch, operator: Operator) -> Batch:
    """Return a batch whose objects are the regions that are explained."""
    regions = operator.regions(batch.targets)
    if regions is None:
        raise ValueError(
            f"masks={REGION!r} is the region that operator='segmentation' explains, or the box of 'detection': give "
            "one of them as well."
        )
    return replace(batch, ground_truth=GroundTruth(nearest(np.asarray(regions), batch.images.shape[1:-1])))


def _layers_of(explainer: Explainer) -> str:
    """Return where an explainer looks."""
    layers = explainer.conv_layer
    return layers if isinstance(layers, str) else f"{len(layers or [])} layers"


def _usable(maps: tf.Tensor) -> tf.Tensor:
    """Return maps with those that hold what is no number as zeros, which say nothing of where."""
    finite = tf.reduce_all(tf.math.is_finite(maps), axis=list(range(1, maps.shape.rank)), keepdims=True)
    return tf.where(finite, maps, 0.0)
