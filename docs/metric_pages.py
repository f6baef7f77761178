"""The pages of the metrics, which follow from the registry and their docstrings."""

from __future__ import annotations

import math

import pictures
from docstrings import sections_of, title

import tfcam
from tfcam.metrics.base import Metric
from tfcam.metrics.base.metric import FAMILIES

#: numpydoc's names of sections, and what they are called here.
_HEADINGS = {"Warnings": "What it does not tell", "References": "Paper", "Notes": "Variants and departures"}


def metrics() -> list[type[Metric]]:
    """Return the metrics by family and name."""
    return [tfcam.METRICS[info.name] for info in tfcam.list_metrics()]


def families() -> dict[str, list[type[Metric]]]:
    """Return the metrics of each family."""
    found: dict[str, list[type[Metric]]] = {}
    for metric in metrics():
        found.setdefault(metric.family, []).append(metric)
    return found


def path(metric: type[Metric]) -> str:
    """Return where the page of a metric is."""
    return f"metrics/{metric.name}.md"


def generated() -> dict[str, str | bytes]:
    """Return the pages and pictures by their path."""
    content: dict[str, str | bytes] = {
        "pictures/steps.png": pictures.steps(),
        "pictures/curves.png": pictures.curves(),
        "pictures/ranked.png": pictures.ranked(),
        "pictures/cascade.png": pictures.cascade(),
        "pictures/localised.png": pictures.localised(),
    }
    return content | {path(metric): page(metric) for metric in metrics()}


def table(link: str = "") -> str:
    """Return the table of the metrics, with links to their pages where `link` is given."""
    rows, family = ["| name | question | better | from, to | paper |", "| --- | --- | --- | --- | --- |"], ""
    for metric in metrics():
        if metric.family != family:
            family = metric.family
            rows.append(f"| **{family}** | *against {FAMILIES[family]}* | | | |")
        name = f"[`{metric.name}`]({link.format(name=metric.name)})" if link else f"`{metric.name}`"
        better = "higher" if metric.higher_is_better else "lower"
        rows.append(f"| {name} | {metric.question} | {better} | {_bounds(metric)} | {metric.paper} |")
    return "\n".join(rows)


def page(metric: type[Metric]) -> str:
    """Return the page of a metric: what it asks, formula, range, cost, variants, paper."""
    own = sections_of(metric)
    sections = {"": own[""], "Parameters": parameters(metric)} | {name: own[name] for name in own if name in _HEADINGS}
    question = metric.question[0].upper() + metric.question[1:]
    better = "Higher" if metric.higher_is_better else "Lower"
    parts = [
        f"# {title(metric)}",
        f"**{question}** {better} is better, from {_bounds(metric)}. `tfcam.metrics.{metric.__name__}`, on the command "
        f"line `--metric {metric.name}`.",
        sections.pop(""),
        f"## Cost\n\n{metric.cost[0].upper()}{metric.cost[1:]}, for each map.",
        *(f"## {_HEADINGS.get(name, name)}\n\n{text}" for name, text in sections.items() if text),
        f"## Use\n\n```python\n{example(metric)}```",
        f"::: {metric.__module__}.{metric.__name__}\n    options:\n      members: []\n"
        "      show_docstring_description: false",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def parameters(metric: type[Metric]) -> str:
    """Return the options of a metric, its own and those of what it derives from, but what all metrics take."""
    families = [cls for cls in metric.__mro__ if issubclass(cls, Metric) and cls is not Metric]
    each = [sections_of(cls).get("Parameters", "") for cls in families]
    return "\n\n".join(text for text in each if text)


def example(metric: type[Metric]) -> str:
    """Return lines that use a metric."""
    again = ", explainer" if metric.needs_explainer else ""
    given = "masks=masks[:, 0]" if metric.needs_objects else "model, images, labels[:, 0]"
    return (
        "import tfcam\nfrom tfcam.demo import load_model, make_scenes\n\n"
        "model = load_model()  # or any Keras model of yours\n"
        "images, labels, masks = make_scenes(4)\n\n"
        "explainer = tfcam.GradCAM(model)\n"
        "heatmaps = explainer.explain(images, labels[:, 0])\n"
        f"metric = tfcam.metrics.{metric.__name__}({given})\n"
        f"metric.evaluate(heatmaps{again})  # the mean\n"
        f"metric.per_sample(heatmaps{again})  # (4,)\n"
    )


def _bounds(metric: type[Metric]) -> str:
    return " to ".join("∞" if math.isinf(bound) else f"{bound:g}" for bound in metric.bounds)
