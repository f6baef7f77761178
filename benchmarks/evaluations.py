"""``tfcam evaluate``, run for the tables of a page, and what it wrote."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import tfcam


def evaluate(
    folder: Path,
    labels: Path,
    output: Path,
    methods: Iterable[str],
    layers: Iterable[str],
    metrics: Iterable[str],
    *options: Any,
) -> list[dict[str, Any]]:
    """Run the command on a folder of images with these labels, and return the rows that it wrote."""
    asked = [
        *(word for method in methods for word in ("--method", method)),
        *(word for layer in layers for word in ("--layer", layer)),
        *(word for metric in metrics for word in ("--metric", metric)),
    ]
    command = ["evaluate", folder, "--labels", labels, *options, "--batch-size", 10, *asked, "--output", output]
    subprocess.run([sys.executable, "-m", "tfcam.cli", *map(str, command)], check=True)
    return rows_of(output)


def rows_of(output: Path) -> list[dict[str, Any]]:
    """Return the rows that a run wrote."""
    return json.loads((output / "evaluation.json").read_text(encoding="utf-8"))["rows"]


def of_imagenet(assets: Path) -> list[Any]:
    """Return the options that name the ImageNet model."""
    return ["--model", assets / "models/mobilenet_v2_imagenet.keras", "--preprocess", "scale-11"]


def names_of(metrics: Iterable[str]) -> list[str]:
    """Return the names of metrics that are written with their options."""
    return [metric.partition(":")[0] for metric in metrics]


def heads(names: Iterable[str]) -> list[str]:
    """Return the heads of their columns."""
    return [f"{name} {'↑' if tfcam.METRICS[name].higher_is_better else '↓'}" for name in names]


def cells(row: dict[str, Any], names: Iterable[str]) -> list[str]:
    """Return the means of a row with their intervals."""
    return [
        "-" if row[name] is None else f"{row[name]:.3g} ({row[f'{name} low']:.3g}, {row[f'{name} high']:.3g})"
        for name in names
    ]
