"""Cost of every method, and of all of them compared, against the model's own compiled forward pass.

    make benchmarks

Runs of the forward pass and of each method alternate in one process, so that a slow spell of the machine hits all
alike. Methods of a pass for each channel are measured in perturbation.py, and beside the peers' in
perturbation_peers.py.
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Iterator

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf
from grad_cam import FORWARD, MODELS, Run, alternated, conditions, contest, cost, forward_pass
from pages import publish

import tfcam
from tfcam.engine import MapOptions
from tfcam.evaluation.comparison import Comparison

#: Methods of one forward pass, or of one and one backward pass through the head, for any head.
SINGLE = [n for n, m in tfcam.METHODS.items() if m.cost_class in ("forward", "backward") and not m.needs]


def runs_of(name: str, batch: int) -> dict[str, Run]:
    """Return what is measured on a model."""
    model, images, labels = contest(name, batch)
    runs = {FORWARD: forward_pass(model, images, labels)}

    def explaining(method: str) -> Run:
        explainer = tfcam.METHODS[method](model, batch_size=batch)
        return lambda: explainer.explain(images, labels).numpy()

    for method, kind in sorted(tfcam.METHODS.items()):
        # Only VGG16 of these models has another head than CAM's.
        needs = ("",) if name == "VGG16" else ("", "pooled head")
        if kind.cost_class != "many" and kind.needs in needs:
            runs[f"tfcam {method}"] = explaining(method)
    # As compare() does, which makes its explainers anew each time.
    explainers = [tfcam.METHODS[method](model, batch_size=batch) for method in SINGLE]
    comparison = Comparison(dict(zip(SINGLE, explainers, strict=True)), model, batch_size=batch)
    options = MapOptions()

    def compared() -> list[tf.Tensor]:
        [one] = comparison.explanations(images, labels, options)
        return [maps.numpy() for maps in one.maps.values()]

    runs[f"compare, {len(SINGLE)} methods"] = compared
    return runs


def table(models: list[str], batch: int, rounds: int, patience: float) -> Iterator[str]:
    """Yield the lines of the table."""
    yield "| model | batch | what | ms an image | forward passes |"
    yield "| --- " * 5 + "|"
    for name in models:
        times = alternated(runs_of(name, batch), rounds, patience)
        for what in times:
            each, share = cost(times, what, batch)
            yield f"| {name} | {batch} | {what} | {each:.1f} | {share:.2f} |"
    yield from conditions(rounds, patience)


def main() -> None:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--patience", type=float, default=10, help="seconds after which a method runs no more")
    parser.add_argument("--models", nargs="+", default=MODELS[:2])
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    lines = table(arguments.models, arguments.batch, arguments.rounds, arguments.patience)
    publish(lines, "benchmarks.md", "methods.py", arguments.write)


if __name__ == "__main__":
    main()
