"""The metrics, one class in one file each; the file is named as the metric is.

``tfcam.metrics.Deletion(model, images, labels).evaluate(heatmaps)``. Nothing is imported before a metric is asked for,
so that the command line's help does not wait for TensorFlow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfcam.registry import Folder

if TYPE_CHECKING:
    from tfcam.metrics.base import MetricInfo

FOLDER = Folder(__name__, "METRICS", "metric")


def metric_names() -> list[str]:
    """Return the names of the metrics of this folder, without importing them."""
    return FOLDER.names()


def registry() -> dict[str, Any]:
    """Return every metric by its name: those of this folder, and those a user has defined."""
    return FOLDER.every()


def list_metrics() -> list[MetricInfo]:
    """Return what each metric says of itself, those of this folder and those a user has defined, by family and name."""
    found = [metric.info() for _, metric in sorted(registry().items())]
    from tfcam.metrics.base.metric import FAMILIES

    order = list(FAMILIES)
    return sorted(found, key=lambda info: order.index(info.family) if info.family in order else len(order))


def get_metric(name: str) -> Any:
    """Return a metric by its name, as the registry, its paper or its class has it: ``"deletion"``, ``"Average Drop"``.

    Raises
    ------
    ValueError
        Where there is none; it says which come close.
    """
    return FOLDER.find(name)


__getattr__ = FOLDER.attribute


def __dir__() -> list[str]:
    return [*__getattr__("__all__"), "get_metric", "list_metrics"]
