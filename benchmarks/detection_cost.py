"""What it costs to explain one box, or ten, in forward passes of the embedded detector, and of KerasHub's RetinaNet.

Prints a table and, with ``--write``, puts it into docs/tasks/detection.md. In the environment of the peers; the weights
of the RetinaNet are random, and boxes are those that it predicts.

    python benchmarks/detection_cost.py --write
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import time

import keras
import numpy as np
import tensorflow as tf
from pages import publish_named

import tfcam
from tfcam.demo import load_model, make_scenes

REPEATS, BOXES = 9, 10


def embedded() -> tuple[Any, np.ndarray]:
    """Return the embedded detector, and a scene."""
    return load_model("detector"), make_scenes(1, objects=3, seed=5).images.astype("float32")


def retinanet() -> tuple[Any, np.ndarray]:
    """Return a RetinaNet on a ResNet-50, of random weights, whose boxes lie about their anchors, and an image."""
    from keras_hub import models

    keras.utils.set_random_seed(0)
    resnet = models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 128, 256, 512],
        stackwise_num_blocks=[3, 4, 6, 3],
        stackwise_num_strides=[1, 2, 2, 2],
        block_type="bottleneck_block",
        use_pre_activation=False,
        image_shape=(512, 512, 3),
    )
    backbone = models.RetinaNetBackbone(resnet, min_level=3, max_level=7, use_p5=False, image_shape=(512, 512, 3))
    detector = models.RetinaNetObjectDetector(backbone, num_classes=80, bounding_box_format="xyxy")
    for head, scale in ((detector.box_head, 0.01), (detector.classification_head, 0.1)):
        for weight in head.weights[-2:]:
            weight.assign(weight * scale)
    return detector, np.random.default_rng(0).uniform(-1, 1, (1, 512, 512, 3)).astype("float32")


DETECTORS = {"the embedded detector, 96 pixels": embedded, "RetinaNet on ResNet-50, 512 pixels": retinanet}


def seconds(calls: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Return the median time of calls, made in turn, after two that do not count."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for repeat in range(REPEATS + 2):
        for name, call in calls.items():
            start = time.perf_counter()
            tf.nest.map_structure(np.asarray, call())
            if repeat > 1:
                taken[name].append(time.perf_counter() - start)
    return {name: float(np.median(each)) for name, each in taken.items()}


def table(rows: list[str]) -> Iterator[str]:
    """Yield the lines of the table."""
    yield "| detector | a forward pass | one box | ten boxes |"
    yield "| --- | --- | --- | --- |"
    for row in rows:
        detector, images = DETECTORS[row]()
        explainer = tfcam.ODAM(detector, operator=tfcam.Detection(threshold=0.0))
        _, found = explainer.explain_detections(images, k=BOXES)
        several = {name: found[name] for name in ("boxes", "classes")}
        one = {name: values[:, 0] for name, values in several.items()}
        forward = tf.function(lambda pixels, model=detector: model(pixels, training=False))
        calls = {
            "forward": lambda forward=forward, images=images: forward(images),
            "one": lambda explain=explainer.explain, images=images, one=one: explain(images, one),
            "ten": lambda explain=explainer.explain_detections, images=images, of=several: explain(images, of)[0],
        }
        took = seconds(calls)
        ratios = " | ".join(f"{took[name] / took['forward']:.2f}" for name in ("one", "ten"))
        yield f"| {row} | {1000 * took['forward']:.0f} ms | {ratios} |"


if __name__ == "__main__":
    publish_named(table, DETECTORS, "tasks/detection.md", "detection_cost.py", __doc__)
