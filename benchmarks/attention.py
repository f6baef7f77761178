"""Cost of the methods of attentions, against a forward and a full backward pass of KerasHub's ViT-B/16 at 224 pixels.

    python benchmarks/attention.py --write

The runs of all alternate in one process; the peak of the memory is that of a process for each. Some minutes.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import numpy as np
import tensorflow as tf
from grad_cam import FORWARD, Run, alternated, by_tfcam, forward_pass, peak_memory
from pages import publish_named

import tfcam

BOTH, CLASSES, ROUNDS, PATIENCE = "forward and backward pass", 1000, 5, 60.0
METHODS = [name for name, method in tfcam.METHODS.items() if method.family == "attention"]
BATCHES = {"1": 1, "8": 8}


def vit() -> keras.Model:
    """Return a ViT-B/16, with random weights."""
    import keras_hub

    keras.utils.set_random_seed(0)
    backbone = keras_hub.models.ViTBackbone(
        image_shape=(224, 224, 3), patch_size=16, num_layers=12, num_heads=12, hidden_dim=768, mlp_dim=3072
    )
    return keras_hub.models.ViTImageClassifier(backbone, CLASSES)


def both_passes(model: keras.Model, images: tf.Tensor, labels: np.ndarray) -> Run:
    """Return the gradient of the class's score for the image, compiled."""

    @tf.function
    def gradient(x: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(x)
            scores = tf.gather(model(x, training=False), labels, batch_dims=1)
        return tape.gradient(scores, x)

    return lambda: gradient(images).numpy()


def contestants(batch: int, names: list[str]) -> dict[str, Run]:
    """Return what is run of these names, by them."""
    model = vit()
    images = np.random.default_rng(0).uniform(-1, 1, (batch, 224, 224, 3)).astype("float32")
    given = model, tf.constant(images), np.arange(batch)
    passes = {FORWARD: forward_pass, BOTH: both_passes}
    return {name: (passes.get(name) or by_tfcam(name))(*given) for name in names}


def peak(batch: int, name: str) -> float:
    """Return the peak memory in GiB of a process that runs one of them, twice."""
    done = subprocess.run(
        [sys.executable, __file__, "--job", json.dumps([batch, name])], stdout=subprocess.PIPE, text=True, check=True
    )
    return float(done.stdout.splitlines()[-1])


def run_alone(batch: int, name: str) -> None:
    """Run one of them twice, and print the peak memory of this process in GiB."""
    [run] = contestants(batch, [name]).values()
    run()
    run()
    print(peak_memory())


def table(batches: list[str]) -> Iterator[str]:
    """Yield the lines of the table."""
    yield "| batch | what | ms an image | forward and backward passes | peak, GiB |"
    yield "| --- " * 5 + "|"
    for batch in (BATCHES[name] for name in batches):
        names = [FORWARD, BOTH, "grad-cam", *METHODS]
        times: dict[str, Any] = alternated(contestants(batch, names), ROUNDS, PATIENCE)
        for name in names:
            share = statistics.median(one / other for one, other in zip(times[name], times[BOTH], strict=False))
            each = 1000 * statistics.median(times[name]) / batch
            yield f"| {batch} | {name} | {each:.0f} | {share:.2f} | {peak(batch, name):.1f} |"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--job"]:
        run_alone(*json.loads(sys.argv[2]))
    else:
        publish_named(table, BATCHES, "transformers.md", "attention.py", __doc__)
