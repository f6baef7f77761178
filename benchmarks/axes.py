"""What it costs to tell where every axis of a model comes from, and what its cells see, over the trace of the model.

Made by `make benchmarks`.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Iterator
from functools import partial

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf
from grad_cam import conditions
from pages import publish

from tfcam.backend.symbolic_call import run_symbolically
from tfcam.layers.graph_grids import GraphGrids

ROUNDS = 5


def vit(depth: int = 12, width: int = 768, heads: int = 12, size: int = 224, patch: int = 16) -> keras.Model:
    """Return a ViT-B/16: 12 blocks of 768 channels, with a class token."""
    layers = keras.layers

    class Tokens(layers.Layer):
        def build(self, shape: tuple[int, ...]) -> None:
            self.token = self.add_weight(shape=(1, 1, width), name="token")
            self.places = self.add_weight(shape=(1, 1 + shape[1], width), name="places")

        def call(self, x: tf.Tensor) -> tf.Tensor:
            token = keras.ops.broadcast_to(self.token, (keras.ops.shape(x)[0], 1, width))
            return keras.ops.concatenate([token, x], axis=1) + self.places

    inputs = keras.Input((size, size, 3))
    x = Tokens()(layers.Reshape((-1, width))(layers.Conv2D(width, patch, patch)(inputs)))
    for _ in range(depth):
        y = layers.LayerNormalization()(x)
        x = layers.Add()([x, layers.MultiHeadAttention(heads, width // heads)(y, y)])
        y = layers.Dense(4 * width, activation="gelu")(layers.LayerNormalization()(x))
        x = layers.Add()([x, layers.Dense(width)(y)])
    return keras.Model(inputs, layers.Dense(1000)(layers.LayerNormalization()(x)[:, 0]), name="ViT-B")


def application(name: str) -> keras.Model:
    """Return a model of ``keras.applications`` with random weights."""
    return getattr(keras.applications, name)(weights=None)


def table() -> Iterator[str]:
    """Yield the lines of the table, with medians."""
    yield "| model | its trace, s | axes, s | both, over the trace |"
    yield "| --- | --- | --- | --- |"
    for make in (*(partial(application, name) for name in ("MobileNetV2", "ResNet50", "EfficientNetB0")), vit):
        model, traces, analyses = make(), list[float](), list[float]()
        for _ in range(ROUNDS):
            start = time.perf_counter()
            run = run_symbolically(model, tf.TensorSpec((None, *model.input_shape[1:])))
            traces.append(time.perf_counter() - start)
            start = time.perf_counter()
            GraphGrids(run.graph, run.inputs)
            analyses.append(time.perf_counter() - start)
        trace, axes = statistics.median(traces), statistics.median(analyses)
        yield f"| {model.name} | {trace:.2f} | {axes:.3f} | {(trace + axes) / trace:.2f} |"
    yield from conditions(ROUNDS, 0)[:1]
    yield f"{os.cpu_count()} CPU cores, medians of {ROUNDS} rounds."


def main() -> None:
    """Print the table, and with ``--write`` put it into docs/benchmarks.md."""
    publish(table(), "benchmarks.md", "axes.py", "--write" in sys.argv[1:])


if __name__ == "__main__":
    main()
