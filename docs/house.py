"""The architecture in one picture: the files of the package in bands, each of which uses only those below it."""

from __future__ import annotations

import html
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: From the user down to Keras: what a band is, what it does, and the first of its files in CONTRIBUTING.md's list.
BANDS = (
    ("The outer ring", "commands, the embedded example, evaluation", "candidates"),
    ("Metrics", "a formula each, of what the model answers when images are perturbed", "objects"),
    ("Methods", "a formula each, on a run that gives it what its family needs", "families"),
    ("Calls", "explain, stream, map: any input in, one traced function, heatmaps out", "computation"),
    ("Maps", "perturbations in chunks, the layers' maps as one, resized to the input", "effective"),
    ("A run", "activations, scores, gradients; the head or the model again on other values", "operators"),
    (
        "What a model is",
        "its calls, layers, grids, fields, logits and inputs, found by what flows through it",
        "graph",
    ),
    ("Keras", "the one file that knows private attributes of Keras 3 and tf_keras", "backend"),
)


def files() -> dict[str, str]:
    """Return the files and folders of the package in the order of imports, and what each is."""
    table = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("# How it hangs together")[2]
    found = {}
    for names, what in re.findall(r"^\| (`.*?) \| (.*?) \|$", table, re.MULTILINE):
        found |= dict.fromkeys(re.findall(r"`([a-z_]+(?:\.py|/))`", names), what)
    return found


def picture() -> str:
    """Return the bands as HTML, which fits any width."""
    each = files()
    names = [name.removesuffix(".py").rstrip("/") for name in each]
    starts = [names.index(first) for *_, first in BANDS]
    ends = [len(names), *starts[:-1]]
    assert starts == sorted(starts, reverse=True), "the bands are not in the order of imports"
    bands = []
    for (title, what, _), start, end in zip(BANDS, starts, ends, strict=True):
        chips = "".join(
            f'<code title="{html.escape(each[name].replace("`", ""))}">{name}</code> ' for name in list(each)[start:end]
        )
        bands.append(f"<div><p><strong>{title}:</strong> {what}</p><p>{chips.strip()}</p></div>")
    return '<div class="bands">\n' + "\n".join(bands) + "\n</div>"


def table() -> str:
    """Return what each file is, in the order of imports, the first one last."""
    rows = [f"| {', '.join(f'`{name}`' for name in names)} | {what} |" for what, names in _together()]
    return "\n".join(["| file | what it is |", "| --- | --- |", *reversed(rows)])


def _together() -> list[tuple[str, list[str]]]:
    """Return what files are, and those of which one thing is said."""
    found: dict[str, list[str]] = {}
    for name, what in files().items():
        found.setdefault(what, []).append(name)
    return list(found.items())
