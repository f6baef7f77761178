"""What detectors put out, as boxes and classes: against what their libraries compute, in NumPy."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from detectors import SIZE, detector, operator_of, pictures

import tfcam
from tfcam.operators.decoders import decoded

IMAGES = np.zeros((2, 64, 96, 3), "float32")
RNG = np.random.default_rng(0)


def run_of(outputs):
    return SimpleNamespace(outputs=outputs, inputs=IMAGES, model=None, targets=None, predictions=outputs)


def test_yolov8_of_kerascv_has_sides_as_distributions_over_strides():
    strides = (8, 16, 32)
    cells = [
        (row, column, stride) for stride in strides for row in range(64 // stride) for column in range(96 // stride)
    ]
    bins = RNG.normal(size=(2, len(cells), 64)).astype("float32")
    classes = RNG.uniform(0.01, 0.99, (2, len(cells), 5)).astype("float32")
    boxes, logits = decoded(run_of({"boxes": bins, "classes": classes}), None)
    for image in range(2):
        for number, (row, column, stride) in enumerate(cells):
            shares = np.exp(bins[image, number].reshape(4, 16))
            left, top, right, bottom = (shares * np.arange(16)).sum(1) / shares.sum(1)
            x, y = column + 0.5, row + 0.5
            expected = np.array([x - left, y - top, x + right, y + bottom]) * stride
            np.testing.assert_allclose(boxes[image, number], expected, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(tf.sigmoid(logits), classes, atol=1e-5)


@pytest.mark.parametrize("scale", [np.ones(4), np.array([96, 64, 96, 64])], ids=["shares", "pixels"])
def test_an_export_of_ultralytics_has_middles_as_shares_or_in_pixels(scale):
    rows = RNG.uniform(0.2, 0.8, (2, 300, 4))
    classes = RNG.uniform(0.01, 0.99, (2, 300, 3))
    output = np.concatenate([rows * scale, classes], axis=-1).transpose(0, 2, 1).astype("float32")
    boxes, logits = decoded(run_of(tf.constant(output)), None)
    x, y, width, height = np.moveaxis(rows * [96, 64, 96, 64], -1, 0)
    expected = np.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], axis=-1)
    np.testing.assert_allclose(boxes, expected, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(tf.sigmoid(logits), classes, atol=1e-5)


def test_logits_beside_boxes_stay_as_they_are():
    logits = RNG.normal(size=(2, 7, 3)).astype("float32")
    outputs = {"boxes": tf.zeros((2, 7, 4)), "classes": tf.constant(logits)}
    np.testing.assert_array_equal(decoded(run_of(outputs), None)[1], logits)
    inside = {"boxes": tf.zeros((2, 7, 4)), "classes": tf.nn.sigmoid(logits)}
    np.testing.assert_allclose(decoded(run_of(inside), None)[1], logits, atol=1e-4)


@pytest.mark.parametrize("name", ["pyramid", "yolo"])
def test_metrics_measure_a_function_as_they_do_the_model(name):
    """Such as a detector that is no Keras model: it is called as it is."""
    images, operator = pictures(), operator_of(name)
    maps = tfcam.ODAM(detector(name), operator=operator).explain(images)
    values = [
        tfcam.metrics.Deletion(scored, images, None, operator=operator, percent=25).per_sample(maps)
        for scored in (detector(name), lambda pixels: tf.nest.map_structure(tf.identity, detector(name)(pixels)))
    ]
    np.testing.assert_allclose(values[0], values[1], rtol=1e-3)
    assert values[0].shape == (2,) and maps.shape[1] == SIZE
