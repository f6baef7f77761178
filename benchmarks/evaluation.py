"""What every metric says of every method, on an ImageNet model and photographs: the tables of docs/evaluation.md.

Run ``python benchmarks/evaluation.py ASSETS OUTPUT`` with a folder that holds ``models/mobilenet_v2_imagenet.keras``,
and labelled photographs, ``images/labels.csv``. It runs ``tfcam evaluate`` for each table, which keeps what is measured
in OUTPUT and goes on from there if it was interrupted; an hour or two, half of it for the methods that run the model
for each mask. ``--write`` puts the tables into the page.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from evaluations import cells, evaluate, heads, names_of, of_imagenet, rows_of
from pages import publish
from PIL import Image
from scipy.stats import spearmanr

import tfcam

#: Methods of a thousand passes an image and more, or of fifty forward and backward.
SLOW = ("opti-cam", "poly-cam", "rise", "score-cam")
#: Ten times Score-CAM's passes: they are not evaluated.
LEFT_OUT = ("is-cam", "ss-cam")
REMOVING = ("insertion:percent=5", "deletion:percent=5", "road", "mu-fidelity")
MASKING = ("average-drop", "average-increase", "average-gain", "average-drop-in-deletion")
SHAPE = ("coherency", "complexity", "adcc", "arcc")


@dataclass(frozen=True)
class Table:
    """A run of ``tfcam evaluate``: methods, layers, metrics, and how many photographs; None: all."""

    methods: tuple[str, ...]
    layers: tuple[str, ...] = ()
    metrics: tuple[str, ...] = (*REMOVING, *MASKING, *SHAPE)
    photographs: int | None = None


def tables() -> dict[str, Table]:
    """Return the runs by name."""
    of_images = [name for name, kind in tfcam.METHODS.items() if kind.needs != "boxes"]
    fast = tuple(name for name in of_images if name not in (*SLOW, *LEFT_OUT))
    one_pass = tuple(
        info.name
        for info in tfcam.list_methods()
        if info.cost_class in ("forward", "backward") and info.name in of_images and info.name != "cam"
    )
    compared = ("ablation-cam", "grad-cam", "group-cam", "recipro-cam", "random-cam")
    return {
        "last": Table(tuple(sorted(fast))),
        "middle": Table(one_pass, ("depthwise_13_relu",)),
        "slow": Table((*SLOW, *compared), (), (*REMOVING, *MASKING), 40),
        "cost": Table(tuple(sorted(fast)), (), ("complexity",), 30),
    }


def run(table: Table, assets: Path, output: Path) -> None:
    """Run a table's command."""
    labels = assets / "images/labels.csv"
    if table.photographs is not None:
        with labels.open(encoding="utf-8") as file:
            lines = list(csv.reader(file))[: table.photographs + 1]
        output.mkdir(parents=True, exist_ok=True)
        labels = output / "labels.csv"
        labels.write_text("\n".join(",".join(line) for line in lines), encoding="utf-8")
    asked = table.methods, table.layers, table.metrics
    evaluate(assets / "images", labels, output, *asked, *of_imagenet(assets))


def lines(rows: list[dict[str, Any]], metrics: tuple[str, ...], cost: dict[str, float]) -> Iterator[str]:
    """Yield a table of these metrics, the best mean rank among them first."""
    names = names_of(metrics)
    yield f"| method | {' | '.join(heads(names))} | mean rank | ms |"
    yield "| --- " * (len(names) + 3) + "|"
    ranks = {row["method"]: sum(row[f"{name} rank"] for name in names) / len(names) for row in rows}
    for row in sorted(rows, key=lambda row: ranks[row["method"]]):
        took = 1000 * cost.get(row["method"], row["seconds"])
        yield f"| {row['method']} | {' | '.join(cells(row, names))} | {ranks[row['method']]:.1f} | {took:.3g} |"


def agreement(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Yield a table of how alike metrics rank the methods: Spearman's correlation of their means."""
    names = names_of((*REMOVING, *MASKING, *SHAPE))
    good = {
        name: np.array([row[name] * (1 if tfcam.METRICS[name].higher_is_better else -1) for row in rows])
        for name in names
    }
    yield f"| | {' | '.join(names)} |"
    yield "| --- " * (len(names) + 1) + "|"
    for name in names:
        each = (spearmanr(good[name], good[other]).statistic for other in names)
        yield f"| {name} | {' | '.join(f'{one:.2f}' for one in each)} |"


def main() -> None:
    """Run what is not done, print the tables, and write them where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("assets", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--only", nargs="+", help="names of tables")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    found = {}
    for name, table in tables().items():
        if arguments.only is None or name in arguments.only:
            run(table, arguments.assets, arguments.output / name)
        found[name] = rows_of(arguments.output / name)
    cost = {row["method"]: row["seconds"] for row in found["cost"]}
    if arguments.write:
        with Image.open(arguments.output / "last/evaluation.png") as picture:
            small = picture.convert("RGB").resize((picture.width * 2 // 3, picture.height * 2 // 3))
            small.quantize(32).save(Path(__file__).parents[1] / "docs/evaluation.png", optimize=True)
    publish(agreement(found["last"]), "evaluation.md", "agreement", arguments.write)
    for name in ("last", "middle", "slow"):
        for what, metrics in {"removing": REMOVING, "masking": MASKING, "shape": SHAPE}.items():
            if set(metrics) <= set(tables()[name].metrics):
                of_cost = cost if name == "last" else {}
                publish(lines(found[name], metrics, of_cost), "evaluation.md", f"{name} {what}", arguments.write)


if __name__ == "__main__":
    main()
