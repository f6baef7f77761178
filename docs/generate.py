"""Write what follows from the code: the README's table and first picture, and the names that editors read.

``make generated`` runs it; a test says when it has to be run.
"""

from __future__ import annotations

import re
from pathlib import Path

import method_pages
import pictures

import tfcam

ROOT = Path(__file__).parents[1]


def readme() -> str:
    """Return the README with the table of the methods."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.sub(
        r"\| name \| class .*?\n\n", method_pages.methods_table().replace("\\", r"\\") + "\n\n", text, flags=re.DOTALL
    )


def typed_names() -> str:
    """Return the stub of the package: the home of each public name."""
    homes = {name: f"tfcam.{room}" for name, room in tfcam._ROOMS.items()}
    homes["Metric"] = "tfcam.metrics.base"
    homes |= {method.__name__: method.__module__ for method in tfcam.METHODS.values()}
    return "\n".join(
        [
            '"""Written by `make generated` from the registries of methods and metrics."""',
            "",
            *(f"from tfcam import {package} as {package}" for package in tfcam._PACKAGES),
            *_imports(homes),
            "",
            "METHODS: dict[str, type[Explainer]]",
            "METRICS: dict[str, type[Metric]]",
            "__version__: str",
            "",
        ]
    )


def typed_metrics() -> str:
    """Return the stub of the package of the metrics: the home of each."""
    homes = {metric.__name__: metric.__module__ for metric in tfcam.METRICS.values()}
    homes |= {"Metric": "tfcam.metrics.base", "MetricInfo": "tfcam.metrics.base"}
    return "\n".join(
        [
            '"""Written by `make generated` from the registry of metrics."""',
            "",
            *_imports(homes),
            "",
            "def get_metric(name: str) -> type[Metric]: ...",
            "def list_metrics() -> list[MetricInfo]: ...",
            "def metric_names() -> list[str]: ...",
            "def registry() -> dict[str, type[Metric]]: ...",
            "",
        ]
    )


def _imports(homes: dict[str, str]) -> list[str]:
    return [f"from {home} import {name} as {name}" for name, home in sorted(homes.items(), key=lambda pair: pair[1])]


if __name__ == "__main__":
    (ROOT / "README.md").write_text(readme(), encoding="utf-8")
    (ROOT / "tfcam/__init__.pyi").write_text(typed_names(), encoding="utf-8")
    (ROOT / "tfcam/metrics/__init__.pyi").write_text(typed_metrics(), encoding="utf-8")
    (ROOT / "docs/banner.jpg").write_bytes(pictures.banner())
