"""Bad input of metrics: each is refused at the door, and told what to do."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_models import LABELS

import tfcam
from tfcam.metrics import ADCC, ROAD, AverageDrop, AverageGain, Complexity, Deletion, Insertion, MuFidelity


@pytest.fixture
def maps():
    return np.random.default_rng(0).uniform(size=(5, 16, 12, 1))


def with_nan(maps):
    maps[3, 1, 1] = np.nan
    return maps


def with_even(maps):
    maps[[1, 4]] = 0.25
    return maps


MAPS = {
    "too few": (lambda maps: maps[:4], "4 heatmaps were given for 5 images"),
    "too many": (lambda maps: np.concatenate([maps, maps]), "10 heatmaps were given for 5 images"),
    "not resized": (lambda maps: maps[:, ::2], r"the shape \(8, 12, 1\) each, and the images the grid \(16, 12\)"),
    "turned": (lambda maps: maps.transpose(0, 2, 1, 3), r"the grid \(16, 12\): give maps \(N, \*grid\)"),
    "channels": (lambda maps: np.repeat(maps, 3, axis=-1), r"the shape \(16, 12, 3\)"),
    "one map": (lambda maps: maps[0, :, :, 0], "16 heatmaps were given for 5 images"),
    "no map": (lambda maps: maps[:0], r"expected \(N, \*grid\)"),
    "NaN": (with_nan, "NaN or infinite values, first in map 3"),
    "even": (with_even, r"heatmaps 1, 4 are the same everywhere \(0.25\).* constant='nan'"),
    "words": (lambda maps: maps.astype(str), "must be numbers"),
}


@pytest.mark.parametrize("metric", [AverageDrop, Deletion, MuFidelity, ROAD])
@pytest.mark.parametrize(("bad", "message"), MAPS.values(), ids=MAPS)
def test_bad_maps_are_refused(metric, bad, message, model, images, maps):
    with pytest.raises((ValueError, TypeError), match=message):
        metric(model, images, LABELS).evaluate(bad(maps))


def test_maps_of_a_dataset_are_counted(model, images, maps):
    dataset = tf.data.Dataset.from_tensor_slices((images, LABELS)).batch(2)
    for few_or_many in (maps[:3], np.concatenate([maps, maps])):
        with pytest.raises(ValueError, match="heatmaps"):
            AverageDrop(model, dataset).evaluate(few_or_many)


def test_a_constant_map_may_be_left_out_of_the_mean(model, images, maps):
    expected = Deletion(model, images, LABELS).per_sample(maps)
    metric = Deletion(model, images, LABELS, constant="nan")
    values = metric.per_sample(with_even(maps))
    assert np.isnan(values[[1, 4]]).all()
    np.testing.assert_allclose(values[[0, 2, 3]], expected[[0, 2, 3]], rtol=1e-6)
    assert metric.evaluate(with_even(maps)) == pytest.approx(expected[[0, 2, 3]].mean())
    assert np.isnan(metric.evaluate(np.zeros((5, 16, 12))))
    assert np.isnan(Complexity(constant="nan").evaluate(np.zeros((5, 16, 12))))


OPTIONS = {
    "targets": (lambda m, x: AverageDrop(m, x), "targets are missing.*targets='predicted'"),
    "dataset without labels": (
        lambda m, x: AverageDrop(m, tf.data.Dataset.from_tensor_slices(x)),
        "targets are missing",
    ),
    "a word": (lambda m, x: AverageDrop(m, x, "cat"), "targets='cat': give labels, or 'predicted'"),
    "out of range": (lambda m, x: AverageDrop(m, x, 4), "target 4 is out of range"),
    "too few": (lambda m, x: AverageDrop(m, x, LABELS[:2]), "2 targets were given for 5 images"),
    "no model": (lambda m, x: AverageDrop(3, x, LABELS), "model must be a Keras model, or a function"),
    "batch size": (lambda m, x: AverageDrop(m, x, LABELS, 0), "batch_size must be a positive integer"),
    "activation": (lambda m, x: AverageDrop(m, x, LABELS, activation="relu"), "activation='relu' is none of"),
    "softmax twice": (lambda m, x: AverageDrop(m, x, LABELS, activation="softmax"), "puts out probabilities"),
    "activation of an operator": (
        lambda m, x: Deletion(m, x, LABELS, operator="regression", activation="softmax"),
        "activation='softmax' is for classes",
    ),
    "constant": (lambda m, x: AverageDrop(m, x, LABELS, constant="zero"), "constant='zero' is neither"),
    "output of a function": (
        lambda m, x: AverageDrop(lambda y: m(y), x, LABELS, output_layer="scores"),
        "output_layer= names a layer of a Keras model",
    ),
    "explainer": (lambda m, x: ADCC(m, x, LABELS), r"needs what made the maps: evaluate\(heatmaps, explainer\)"),
    "mask": (lambda m, x: AverageDrop(m, x, LABELS, mask="softmax"), "mask='softmax' is none of"),
    "keep": (lambda m, x: AverageDrop(m, x, LABELS, keep=50), "keep=50 is the share"),
    "averaged": (lambda m, x: AverageDrop(m, x, LABELS, averaged_over="some"), "averaged_over='some'"),
    "baseline": (lambda m, x: Insertion(m, x, LABELS, baseline="gray"), "baseline='gray' is no number"),
    "colours": (lambda m, x: Insertion(m, x, LABELS, baseline=[1, 2]), "baseline has 2 numbers, and the images 3"),
    "function": (lambda m, x: Deletion(m, x, LABELS, baseline=lambda y: y[:, :3]), "baseline gives the shape"),
    "step": (lambda m, x: Deletion(m, x, LABELS, step=0.1), "step=0.1 must be a number of pixels"),
    "percent": (lambda m, x: Deletion(m, x, LABELS, percent=120), "percent=120 must be above 0 and at most 100"),
    "both": (lambda m, x: Deletion(m, x, LABELS, step=3, percent=4), "give one of both"),
    "order": (lambda m, x: ROAD(m, x, LABELS, order="morf"), "order='morf' is none of"),
    "percents": (lambda m, x: ROAD(m, x, LABELS, percents=[50, 100]), "must lie between 0 and 100"),
    "samples": (lambda m, x: MuFidelity(m, x, LABELS, samples=1), "must be at least 2"),
    "all cells": (lambda m, x: MuFidelity(m, x, LABELS, percent=100), "percent between 0 and 100, got"),
    "correlation": (lambda m, x: MuFidelity(m, x, LABELS, correlation="kendall"), "correlation='kendall'"),
    "sampling": (lambda m, x: MuFidelity(m, x, LABELS, sampling="all"), "sampling='all'"),
}


@pytest.mark.parametrize(("make", "message"), OPTIONS.values(), ids=OPTIONS)
def test_bad_options_are_refused(make, message, model, images, maps):
    with pytest.raises((ValueError, TypeError), match=message):
        make(model, images).evaluate(maps)


@pytest.mark.parametrize("metric", [AverageDrop, AverageGain])
def test_a_metric_of_probabilities_refuses_other_scores(metric, model, images, maps):
    def logits(x):
        return 9 * model(x) - 3

    remedy = "defined for probabilities.*activation='softmax'.*take Deletion"
    for asked in (
        metric(logits, images, LABELS),
        metric(model, images, operator=lambda model, x, y: -model(x)[:, 0]),
    ):
        with pytest.raises(ValueError, match=remedy):
            asked.evaluate(maps)
    assert 0 <= metric(logits, images, LABELS, activation="softmax").evaluate(maps) <= 100


def test_a_model_that_overflows_is_told(images, maps):
    def model(x):
        return tf.math.log(tf.reduce_min(x, axis=[1, 2, 3])[:, None] + [[1.0, 1.0]])

    with pytest.raises(
        ValueError, match="NaN or infinite scores for images perturbed by PixelFlipping, first for image 0"
    ):
        Deletion(model, np.abs(images), 1, baseline=-1).evaluate(maps)


def test_a_name_is_found_however_it_is_spelled_and_others_are_refused():
    assert tfcam.get_metric("Average Drop") is AverageDrop
    assert tfcam.get_metric("MuFidelity") is tfcam.get_metric("mu_fidelity") is MuFidelity
    with pytest.raises(ValueError, match=r"'deletio' is no metric. Did you mean 'deletion'"):
        tfcam.get_metric("deletio")


def test_an_explainer_of_other_maps_is_refused(model, images, maps):
    metric = ADCC(model, images, LABELS)
    with pytest.raises(ValueError, match=r"The explainer gives maps of shape \(5, 8, 6\)"):
        metric.evaluate(maps, lambda inputs, targets: np.ones((len(inputs), 8, 6)))


def test_a_softmax_of_one_unit_is_refused(images, maps):
    one = keras.Sequential([keras.Input((16, 12, 3)), keras.layers.Flatten(), keras.layers.Dense(1)])
    with pytest.raises(ValueError, match="use activation='sigmoid'"):
        AverageDrop(one, images, 1, activation="softmax").evaluate(maps)
    assert 0 <= AverageDrop(one, images, 1).evaluate(maps) <= 100
