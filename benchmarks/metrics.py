"""What Deletion and Insertion cost, in compiled forward passes of the images that they need, beside Xplique.

Run ``python benchmarks/metrics.py`` in the peers' environment; it prints two tables and, with ``--write``, puts them
into docs/benchmarks.md. Runs alternate; the peak of the memory is of a process for each row, which does nothing else.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from pages import publish

import tfcam

MODELS = ("MobileNetV2", "ResNet50")
COUNT, BATCH, STEPS = 32, 32, 10
METRICS = ("deletion", "insertion")
#: Rows of the table of memory: metric, its options, batch size.
HELD = [*itertools.product(METRICS, (8, 32)), ("road", 8), ("mu-fidelity", 8)]


def make(name: str, count: int = COUNT) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray]:
    """Return a model with random weights, images, one-hot labels and maps."""
    keras.utils.set_random_seed(0)
    model = getattr(keras.applications, name)(weights=None)
    images = np.random.default_rng(0).uniform(-1, 1, (count, 224, 224, 3)).astype("float32")
    labels = np.eye(1000, dtype="float32")[np.arange(count) % 1000]
    return model, images, labels, tfcam.GradCAM(model, signed=True).explain(images, labels).numpy()


def runs(name: str) -> dict[str, Callable[[], Any]]:
    """Return what is measured: the passes, and each metric by tfcam and by Xplique."""
    from xplique.metrics import fidelity

    model, images, labels, maps = make(name)
    forward = tf.function(lambda x: model(x, training=False))

    def passes() -> None:
        for _ in range(STEPS + 1):
            for start in range(0, COUNT, BATCH):
                forward(tf.constant(images[start : start + BATCH])).numpy()

    found: dict[str, Callable[[], Any]] = {"forward passes": passes}
    for metric in METRICS:
        ours = tfcam.get_metric(metric)(model, images, labels, BATCH, percent=100 / STEPS, baseline=0)
        theirs = getattr(fidelity, metric.capitalize())(model, images, labels, BATCH, steps=STEPS)
        found[f"tfcam {metric}"] = lambda ours=ours: ours.evaluate(maps)
        found[f"Xplique {metric}"] = lambda theirs=theirs: theirs.evaluate(maps)
    return found


def costs(repeats: int) -> Iterator[str]:
    """Yield the lines of the table of costs."""
    yield "| model | what | ms an image and step | of the forward passes |"
    yield "| --- | --- | --- | --- |"
    for name in MODELS:
        times: dict[str, list[float]] = {}
        for repeat, (what, run) in itertools.product(range(repeats + 1), runs(name).items()):
            start = time.perf_counter()
            run()
            if repeat:
                times.setdefault(what, []).append(time.perf_counter() - start)
        for what in times:
            took = statistics.median(times[what])
            share = statistics.median(t / f for t, f in zip(times[what], times["forward passes"], strict=True))
            yield f"| {name} | {what} | {1000 * took / COUNT / (STEPS + 1):.2f} | {share:.2f} |"
    yield f"\nTensorFlow {tf.__version__}, Keras {keras.__version__}, Python {platform.python_version()},"
    yield f"{os.cpu_count()} CPU cores, medians of {repeats} rounds; {COUNT} images in batches of {BATCH}."


def memory() -> Iterator[str]:
    """Yield the lines of the table of memory."""
    yield "| metric | batch size | peak, GiB | of the same forward passes, GiB |"
    yield "| --- | --- | --- | --- |"
    for metric, batch in HELD:
        held = [
            subprocess.run(
                [sys.executable, __file__, "--held", what, str(batch)], capture_output=True, text=True, check=True
            ).stdout.split()[-1]
            for what in (metric, "none")
        ]
        yield f"| {metric} | {batch} | {held[0]} | {held[1]} |"


def hold(metric: str, batch: int) -> None:
    """Print the peak of the memory of a metric with its defaults, or of forward passes."""
    model, images, labels, maps = make("MobileNetV2", 8)
    if metric == "none":
        forward = tf.function(lambda x: model(x, training=False))
        for _ in range(20):
            forward(tf.constant(np.resize(images, (batch, 224, 224, 3)))).numpy()
    else:
        tfcam.get_metric(metric)(model, images, labels, batch).evaluate(maps)
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f}")


def main() -> None:
    """Print the tables, and write them where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--held", nargs=2, metavar=("METRIC", "BATCH"), help="measure one row, in this process")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    if arguments.held:
        hold(arguments.held[0], int(arguments.held[1]))
        return
    # A process begins with the peak of the one that starts it, which has done nothing yet.
    publish(memory(), "benchmarks.md", "metrics.py memory", arguments.write)
    publish(costs(arguments.repeats), "benchmarks.md", "metrics.py", arguments.write)


if __name__ == "__main__":
    main()
