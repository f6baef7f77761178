"""The methods, layers and metrics that a user asks for by name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tfcam.evaluation.comparison import class_of, methods_of_one_pass
from tfcam.methods.base import Explainer
from tfcam.metrics import get_metric
from tfcam.metrics.base import Metric
from tfcam.metrics.base.scores import Scores
from tfcam.operators.classification import Classification
from tfcam.registry import unused

#: What is measured where nothing is asked for: curves of twenty steps.
DEFAULT_METRICS: dict[str, dict[str, Any]] = {
    "insertion": {"percent": 5},
    "deletion": {"percent": 5},
    "road": {},
    "mu-fidelity": {},
    "average-drop": {},
    "average-gain": {},
    "adcc": {},
    "pointing-game": {},
    "energy-pointing-game": {},
    "iou": {},
}


def find_metrics(wanted: Any, scores: Scores, knows_objects: bool = False) -> dict[str, Metric]:
    """Return metrics by name; a second one of a name with a number."""
    of_probabilities = type(scores.operator) is Classification
    if wanted is None:
        wanted = {
            name: options
            for name, options in DEFAULT_METRICS.items()
            if (of_probabilities or not get_metric(name).needs_probabilities)
            and (knows_objects or not get_metric(name).needs_objects)
        }
    wanted = [wanted] if isinstance(wanted, (str, type)) else wanted
    pairs = wanted.items() if isinstance(wanted, dict) else [_with_options(one) for one in wanted]
    found: dict[str, Metric] = {}
    for one, options in pairs:
        metric = _metric_class(one)
        if metric.needs_objects and ("masks" in options or "boxes" in options or not knows_objects):
            raise ValueError(
                f"{metric.__name__} compares maps with where the objects are: give masks= or boxes= to evaluate() "
                "itself, for all metrics; --masks or --boxes on the command line."
            )
        found[unused(getattr(metric, "name", metric.__name__), found)] = metric(scores, None, None, **options)
    if not found:
        raise ValueError("metrics=[] measures nothing; tfcam.list_metrics() tells the names there are.")
    return found


def _with_options(metric: Any) -> tuple[Any, dict[str, Any]]:
    return metric if isinstance(metric, tuple) else (metric, {})


def _metric_class(metric: Any) -> type[Metric]:
    """Return the class that a name or a class means."""
    if isinstance(metric, type) and issubclass(metric, Metric):
        return metric
    if isinstance(metric, str):
        return get_metric(metric)
    raise TypeError(
        f"metrics are names, Metric classes, pairs of one and its options, or a dict of these, got {metric!r}."
    )


def explainers_at(methods: Iterable[Any] | None, layers: Any, arguments: dict[str, Any]) -> dict[str, Explainer]:
    """Return explainers by ``"method"`` or ``"method at layer"``."""
    found: dict[str, Explainer] = {}
    for method in methods_of_one_pass(arguments["operator"]) if methods is None else methods:
        if isinstance(method, Explainer):
            found[unused(getattr(method, "name", type(method).__name__), found)] = method
            continue
        cls = class_of(method)
        name = getattr(cls, "name", cls.__name__)
        if layers is None or cls.default_layers != "last":
            found[unused(name, found)] = cls(**arguments, conv_layer=None)
            continue
        for layer in layers if isinstance(layers, (list, tuple)) else [layers]:
            found[unused(f"{name} at {layer}", found)] = cls(**arguments, conv_layer=layer)
    if not found:
        raise ValueError("methods=[] evaluates nothing; tfcam.list_methods() tells the names there are.")
    return found
