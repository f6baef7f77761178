"""The pages that follow from the code: one for each method of the registry, its picture, and those of other files."""

from __future__ import annotations

import re
from pathlib import Path

import house
import metric_pages
import pictures
import task_pictures
import tutorials
from docstrings import sections_of, title

import tfcam

ROOT = Path(__file__).parents[1]
#: By what a method needs: the embedded model that it is shown on, and how that is loaded.
_EMBEDDED = {
    "": ("the embedded model", ""),
    "pooled head": ("the embedded model with CAM's head", "pooled=True"),
    "attention": ("the embedded vision transformer", '"vit"'),
    "boxes": ("the embedded detector", '"detector"'),
}
#: numpydoc's names of sections, and the questions that they answer.
_HEADINGS = {"Warnings": "When not to use it", "References": "Paper", "Notes": "What to know"}


def methods() -> list[type[tfcam.Explainer]]:
    """Return the methods by name."""
    return [method for _, method in sorted(tfcam.METHODS.items())]


def path(method: type[tfcam.Explainer]) -> str:
    """Return where the page of a method is."""
    return f"methods/{method.name}.md"


def picture_path(method: type[tfcam.Explainer], layer: str | None) -> str:
    """Return where the picture of a method at a layer, or at those it takes by itself, is."""
    return f"pictures/{method.name}-{layer or 'default'}.png"


def generated() -> dict[str, str | bytes]:
    """Return the pages and pictures by their path."""
    content: dict[str, str | bytes] = {
        **metric_pages.generated(),
        **task_pictures.generated(),
        "changes.md": (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
        "cite.md": citation(),
        "pictures/top.png": pictures.top(),
        "pictures/depths.png": pictures.depths(),
        "pictures/aligned.png": pictures.aligned(),
        "pictures/smoothed.png": pictures.smoothed(),
        "pictures/fused.png": pictures.fused(),
        "pictures/signs.png": pictures.signs(),
        "pictures/concepts.png": pictures.concepts(),
        "pictures/compared.png": pictures.compared({title(method): method for method in methods()}),
    }
    content |= {path(method): method_page(method) for method in methods()}
    return content | {picture_path(*of): picture for of, picture in pictures.of_methods(methods()).items()}


def filled(markdown: str) -> str:
    """Return a page with what it leaves to the code."""
    for mark, fill in {
        "<!-- methods -->": lambda: methods_table(link="{name}.md"),
        "<!-- metrics -->": lambda: metric_pages.table(link="{name}.md"),
        "<!-- house -->": house.picture,
        "<!-- files -->": house.table,
        "<!-- tutorials -->": tutorials.listed,
    }.items():
        if mark in markdown:
            markdown = markdown.replace(mark, fill())
    return markdown


def methods_table(link: str = "") -> str:
    """Return the table of the methods, with links to their pages where `link` is given."""
    rows = ["| name | class | question | cost | paper |", "| --- | --- | --- | --- | --- |"]
    for info in tfcam.list_methods():
        name = f"[`{info.name}`]({link.format(name=info.name)})" if link else f"`{info.name}`"
        rows.append(f"| {name} | `{info.explainer}` | {info.question} | {info.cost} | {info.paper} |")
    return "\n".join(rows)


def citation() -> str:
    """Return how to cite the software, as the README says it, and the papers of the methods."""
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## How to cite\n")[2].partition("\n## ")[0]
    papers = [f"- {title(method)}: {sections_of(method).get('References', method.paper)}" for method in methods()]
    of_metrics = [
        f"- {title(metric)}: {sections_of(metric).get('References', metric.paper)}" for metric in metric_pages.metrics()
    ]
    lines = ["# How to cite", section, "## Papers of the methods", "", *papers]
    return "\n".join([*lines, "", "## Papers of the metrics", "", *of_metrics])


def method_page(method: type[tfcam.Explainer]) -> str:
    """Return the page of a method: what it answers, formula, picture, cost, when not to use it, paper."""
    sections = sections_of(method)
    question = method.question[0].upper() + method.question[1:]
    parts = [
        f"# {title(method)}",
        f"**{question}** `tfcam.{method.__name__}`, on the command line `--method {method.name}`.",
        sections.pop(""),
        shown(method),
        f"## Cost\n\n{method.cost[0].upper()}{method.cost[1:]}. {measured(method.name)}",
        *(f"## {_HEADINGS.get(name, name)}\n\n{text}" for name, text in sections.items()),
        f"## Use\n\n```python\n{example(method)}```",
        f"::: {method.__module__}.{method.__name__}\n    options:\n      members: []\n"
        "      show_docstring_description: false",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def shown(method: type[tfcam.Explainer]) -> str:
    """Return the pictures of a method, and what they are."""
    layers = pictures.layers_of(method)
    each = [f"![{title(method)}](../{picture_path(method, layer)})" for layer in layers]
    model = _EMBEDDED[method.needs][0]
    where = {
        (None,): f"by {model}, all layers that the method takes",
        pictures.LAYERS[:1]: f"at the last layer of {model}, `{layers[0]}`",
        pictures.LAYERS: f"first at the last layer of {model}, `{layers[0]}`, then at `{layers[-1]}`, with two more "
        "convolutions behind it",
    }[layers]
    beside = "\n\n".join(['<div class="beside" markdown>', *each, "</div>"])
    return (
        f"{beside}\n\nTwo scenes, explained for each of their objects: {where}. Bright is where the score comes from."
    )


def example(method: type[tfcam.Explainer]) -> str:
    """Return five lines that use a method."""
    return (
        "import tfcam\nfrom tfcam.demo import load_model, make_scenes\n\n"
        f"model = load_model({_EMBEDDED[method.needs][1]})  # or any Keras model of yours\n"
        "images, labels, masks = make_scenes(4)\n\n"
        f"explainer = tfcam.{method.__name__}(model)\n"
        "tfcam.plot(images, explainer.explain(images, labels[:, 0]))\n"
    )


def measured(name: str) -> str:
    """Return what docs/benchmarks.md says of the cost of a method, in forward passes."""
    table = (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8")
    rows = re.findall(rf"^\| (\w+) \| 16 \| tfcam {name} \| [\d.]+ \| ([\d.]+) \|", table, re.MULTILINE)
    # Of a method that is in both tables, what the first one says of a model.
    told = ", ".join(f"{passes} on {model}" for model, passes in sorted(dict(reversed(rows)).items()))
    return (
        f"Measured in batches of 16, in forward passes of the model: {told} ([how](../benchmarks.md))." if rows else ""
    )
