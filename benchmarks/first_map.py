"""What the first map of a model costs, and that of a second explainer, against the model's own first compiled call.

    make benchmarks

Each round is a process: it makes the model anew for each contestant, runs them in an order of its own, and gives the
seconds of each over those that the model's own call took there. Where the time of tfcam goes is told in parts of it.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import json
import os
import random
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from grad_cam import CONTESTANTS, FORWARD, PEERS, conditions, timed
from pages import publish

import tfcam
from tfcam.backend.open_graph import OpenGraph

MODELS = ["MobileNetV2", "ResNet50", "EfficientNetB0", "ConvNeXtTiny", "a small ViT"]
FIRST, SECOND = "tfcam, first map", "tfcam, second explainer"
#: The peers whose first map is measured too.
OTHERS = ["Xplique grad-cam", "tf-keras-vis grad-cam"]
#: Where the time of the first map goes.
SPLIT = ["tracing", "analysis", "explanation", "optimisation", "run"]
#: How many models are made, explained and dropped, and after how many the memory is looked at.
DROPPED, EVERY = 300, 50


def made(name: str) -> keras.Model:
    """Return a model with random weights that ends in logits."""
    if name != "a small ViT":
        return getattr(keras.applications, name)(weights=None, classifier_activation=None)
    inputs, layers = keras.Input((224, 224, 3)), keras.layers
    x = layers.Reshape((196, 192))(layers.Conv2D(192, 16, 16)(inputs))
    for _ in range(6):
        y = layers.LayerNormalization()(x)
        x = layers.Add()([x, layers.MultiHeadAttention(3, 64)(y, y)])
        y = layers.Dense(768, activation="gelu")(layers.LayerNormalization()(x))
        x = layers.Add()([x, layers.Dense(192)(y)])
    return keras.Model(inputs, layers.Dense(1000)(layers.GlobalAveragePooling1D()(x)))


def small() -> keras.Model:
    """Return a model that is made and explained in a moment."""
    layers = keras.layers
    convolutions = [layers.Conv2D(8, 3, activation="relu") for _ in range(4)]
    return keras.Sequential([layers.Input((32, 32, 3)), *convolutions, layers.Flatten(), layers.Dense(4)])


def measure(name: str, seed: int, present: list[str]) -> dict[str, float]:
    """Return the seconds of the first call of each contestant, and where those of tfcam went."""
    keras.utils.set_random_seed(seed)
    images, labels = tf.random.uniform((1, 224, 224, 3), -1.0), np.zeros(1, int)
    # What TensorFlow and tfcam do once in a process is no part of it.
    first = small()
    for method in ("grad-cam", "xgrad-cam"):
        tfcam.METHODS[method](first).explain(tf.zeros((1, 32, 32, 3)), labels)
    found: dict[str, float] = {}

    def by_tfcam() -> None:
        model = made(name)
        found.update(split(model, images, labels))
        found[SECOND] = timed(lambda: tfcam.METHODS["xgrad-cam"](model).explain(images, labels).numpy())

    def of(what: str) -> Callable[[], None]:
        def measured() -> None:
            model = made(name)
            found[what] = timed(lambda: CONTESTANTS[what](model, images, labels)())

        return measured

    jobs = [by_tfcam, *map(of, [FORWARD, *present])]
    random.Random(seed).shuffle(jobs)
    for job in jobs:
        job()
        gc.collect()
    return found


def split(model: keras.Model, images: tf.Tensor, labels: np.ndarray) -> dict[str, float]:
    """Return the seconds of the first map of a model, and their parts."""
    seconds = dict.fromkeys(("__init__", "compiled"), 0.0)
    before = {name: getattr(OpenGraph, name) for name in seconds}

    def watched(name: str) -> Callable[..., Any]:
        def watching(*arguments: Any) -> Any:
            start = time.perf_counter()
            try:
                return before[name](*arguments)
            finally:
                seconds[name] += time.perf_counter() - start

        return watching

    for name in seconds:
        setattr(OpenGraph, name, watched(name))
    try:
        start = time.perf_counter()
        explainer = tfcam.GradCAM(model)
        prepared = time.perf_counter() - start
        explainer.explain(images, labels).numpy()
        total = time.perf_counter() - start
    finally:
        for name, function in before.items():
            setattr(OpenGraph, name, function)
    run = min(timed(lambda: explainer.explain(images, labels).numpy()) for _ in range(5))
    tracing, explanation = seconds["__init__"], seconds["compiled"]
    parts = [tracing, prepared - tracing, explanation, total - prepared - explanation - run, run]
    return {FIRST: total, **dict(zip(SPLIT, parts, strict=True))}


def in_a_process(*arguments: str) -> Any:
    """Return what this script measures in a process of its own."""
    command = [sys.executable, __file__, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{arguments} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def table(models: list[str], rounds: int) -> Iterator[str]:
    """Yield the lines of the tables of time."""
    present = [what for what in OTHERS if importlib.util.find_spec(PEERS[what])]
    columns = [FIRST, SECOND, *(f"{what}, first map" for what in present)]
    yield f"| model | its own first call, s | {' | '.join(columns)} |"
    yield "| --- " * (2 + len(columns)) + "|"
    shown, ratios = [FIRST, SECOND, *present], {}
    for name in models:
        each = [in_a_process("--job", json.dumps([name, seed, present])) for seed in range(rounds)]
        ratios[name] = {what: statistics.median(one[what] / one[FORWARD] for one in each) for what in [*shown, *SPLIT]}
        own = statistics.median(one[FORWARD] for one in each)
        yield f"| {name} | {own:.2f} | {' | '.join(f'{ratios[name][what]:.2f}' for what in shown)} |"
    medians = [statistics.median(one[what] for one in ratios.values()) for what in shown]
    yield f"| median | | {' | '.join(f'{one:.2f}' for one in medians)} |"
    yield ""
    yield f"| where the first map's goes | {' | '.join(SPLIT)} |"
    yield "| --- " * (1 + len(SPLIT)) + "|"
    for name, one in ratios.items():
        yield f"| {name} | {' | '.join(f'{one[part]:.2f}' for part in SPLIT)} |"
    yield from conditions(rounds, 0)[:1]
    yield f"{os.cpu_count()} CPU cores, medians of {rounds} processes."


def memory(explained: bool) -> dict[int, float]:
    """Return the MiB that the process takes after some models were made, explained where asked, and dropped."""
    taken, images = {}, np.zeros((1, 32, 32, 3), "float32")
    for number in range(1, DROPPED + 1):
        model = small()
        if explained:
            tfcam.METHODS[("grad-cam", "ablation-cam")[number % 2]](model).explain(images, 1)
        if number % EVERY == 0:
            gc.collect()
            with open("/proc/self/status", encoding="ascii") as status:
                [line] = [line for line in status if line.startswith("VmRSS")]
            taken[number] = int(line.split()[1]) / 1024
    return taken


def memory_table() -> Iterator[str]:
    """Yield the lines of the table of memory."""
    rows = {"made and dropped": False, "made, explained by an explainer of its own, and dropped": True}
    yield f"| MiB after so many models | {' | '.join(str(count) for count in range(EVERY, DROPPED + 1, EVERY))} |"
    yield "| --- " * (1 + DROPPED // EVERY) + "|"
    for what, explained in rows.items():
        taken = in_a_process("--memory-job", json.dumps(explained))
        yield f"| {what} | {' | '.join(f'{one:.0f}' for one in taken.values())} |"


def main() -> None:
    """Print the tables, and write them where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--job", type=json.loads, help=argparse.SUPPRESS)
    parser.add_argument("--memory-job", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    if arguments.job:
        print(json.dumps(measure(*arguments.job)))
    elif arguments.memory_job is not None:
        print(json.dumps(memory(arguments.memory_job)))
    else:
        publish(table(arguments.models, arguments.rounds), "benchmarks.md", "first_map.py", arguments.write)
        publish(memory_table(), "benchmarks.md", "first_map.py memory", arguments.write)


if __name__ == "__main__":
    main()
