"""Cost of perturbing a layer and running the head alone, at the end of a network and in its middle.

Run ``python benchmarks/perturbation.py``; it prints a table and, with ``--write``, puts it into docs/benchmarks.md.
The method is an Ablation-CAM of ten lines: each channel is set to zero once. "Heads in one" is how many heads take as
long as one forward pass; where the whole model is run for each channel it is 1.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from pages import publish

import tfcam

#: The end of the network, its middle, and a layer of its middle that a skip connection goes around.
LAYERS = ["out_relu", "block_13_expand_relu", "block_12_expand_relu"]


def measure(layer: str, batch: int, repeats: int) -> None:
    """Print a row of the table, of a process of its own, so that the peak of its memory is that of the row."""
    import resource

    keras.utils.set_random_seed(0)
    model = keras.applications.MobileNetV2(weights=None, classifier_activation=None)
    images = tf.constant(np.random.default_rng(0).uniform(-1, 1, (batch, 224, 224, 3)).astype("float32"))
    forward = tf.function(lambda x: model(x, training=False))
    explainer = tfcam.AblationCAM(model, batch_size=batch, conv_layer=layer)
    runs = {"forward": lambda: forward(images).numpy(), "ablation": lambda: explainer.explain(images, 0).numpy()}
    times: dict[str, list[float]] = {what: [] for what in runs}
    for repeat in range(repeats + 1):
        for what, run in runs.items():
            start = time.perf_counter()
            run()
            if repeat:
                times[what].append((time.perf_counter() - start) / batch)
    forward_time, ablation_time = (statistics.median(times[what]) for what in runs)
    [info] = [info for info in explainer.list_layers() if info.path == layer]
    channels, grid = info.shape[-1], " x ".join(map(str, info.grid))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"| {info.path} | {channels} x {grid} | {batch} | {ablation_time:.3f} | {ablation_time / forward_time:.1f} | "
        f"{channels * forward_time / ablation_time:.0f} | {peak:.1f} |"
    )


def table(batches: list[int], repeats: int) -> Iterator[str]:
    """Yield the lines of the table."""
    yield "| layer of MobileNetV2 | channels, grid | batch | s an image | forward passes | heads in one | peak, GiB |"
    yield "| --- " * 7 + "|"
    for layer, batch in itertools.product(LAYERS, batches):
        row = ["--row", layer, str(batch), "--repeats", str(repeats)]
        said = subprocess.run([sys.executable, __file__, *row], capture_output=True, text=True, check=True).stdout
        yield said.strip().splitlines()[-1]
    yield f"\nTensorFlow {tf.__version__}, Keras {keras.__version__}, Python {platform.python_version()},"
    yield f"{os.cpu_count()} CPU cores, medians of {repeats} rounds."


def main() -> None:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--row", nargs=2, metavar=("LAYER", "BATCH"), help="measure one row, in this process")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    if arguments.row:
        measure(arguments.row[0], int(arguments.row[1]), arguments.repeats)
        return
    lines = table(arguments.batch, arguments.repeats)
    publish(lines, "benchmarks.md", "perturbation.py", arguments.write)


if __name__ == "__main__":
    main()
