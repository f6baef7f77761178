"""What the options of a method change in its formula, and what is refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from oracle import ORACLES, activations_and_gradients, close, grad_cam, kpca_cam, seg_xres_cam
from oracle_runs import finer_cam, nearest, shapley_cam
from small_models import ONE_HOT, L, raw

import tfcam


@pytest.fixture
def parts():
    """Return a classifier, the part up to its convolution, and the rest."""
    inputs = keras.Input((16, 12, 3))
    activations = L.Conv2D(6, 3, activation="relu", name="conv")(inputs)
    hidden = L.Dense(5, activation="tanh")(L.GlobalAveragePooling2D()(activations))
    model = keras.Model(inputs, L.Dense(4, kernel_initializer="orthogonal")(hidden))
    return model, keras.Model(inputs, activations), keras.Model(activations, model.output)


@pytest.mark.parametrize(
    "options", [{"kernel": "rbf"}, {"kernel": "rbf", "gamma": 2.0}, {"gamma": 0.5}, {"kernel": "linear"}]
)
def test_the_kernels_of_kpca_cam(options, parts, images):
    model, body, _ = parts
    maps = raw(tfcam.KPCACAM, model, images, **options)
    assert maps.max() > 0
    close(maps, kpca_cam(body(images).numpy().astype("float64"), **options), 1e-4)


def test_the_linear_kernel_is_the_decomposition_of_the_centred_cells(parts, images):
    model, *_ = parts
    close(raw(tfcam.KPCACAM, model, images, kernel="linear"), raw(tfcam.EigenCAM, model, images, centred=True), 1e-4)


@pytest.mark.parametrize(
    ("form", "formula"), [("mean", "grad-cam"), ("hires", "hires-cam"), ("elementwise", "grad-cam-elementwise")]
)
def test_the_forms_of_shapley_cam(form, formula, parts, images):
    model, body, head = parts
    expected = shapley_cam(body, head, images, ONE_HOT, ORACLES[formula])
    assert expected.max() > 0
    close(raw(tfcam.ShapleyCAM, model, images, form=form), expected)


def test_the_windows_of_seg_xres_cam(parts, images):
    model, body, head = parts
    found = activations_and_gradients(body, head, images, ONE_HOT)
    for window, pooling in ((1, "mean"), (3, "mean"), (4, "max"), (99, "max")):
        expected = seg_xres_cam(*found, window, getattr(np, pooling))
        close(raw(tfcam.SegXResCAM, model, images, window=window, pooling=pooling), expected)
    close(raw(tfcam.SegXResCAM, model, images, window=1), raw(tfcam.HiResCAM, model, images))
    close(raw(tfcam.SegXResCAM, model, images, window=14), raw(tfcam.GradCAM, model, images))


@pytest.mark.parametrize("options", [{"strength": 1.0}, {"similar": 1}])
def test_the_contrasts_of_finer_cam(options, parts, images):
    model, body, head = parts
    maps = raw(tfcam.FinerCAM, model, images, **options)
    assert maps.max() > 0
    close(maps, finer_cam(body, head, images, ONE_HOT, **options))


def test_a_weighted_contrast_counts_each_class_by_its_probability(parts, images):
    model, body, head = parts
    classes = [*nearest(model(images).numpy(), ONE_HOT, 2)]

    def score(activations):
        rows = []
        for z, (label, others) in zip(tf.unstack(head(activations)), classes, strict=True):
            p = tf.exp(z) / tf.reduce_sum(tf.exp(z))
            rows.append(sum(p[d] * (z[label] - 0.6 * z[d]) for d in others) / sum(p[d] for d in others))
        return tf.stack(rows)[:, None]

    expected = grad_cam(*activations_and_gradients(body, score, images, np.ones((5, 1), "float32")))
    close(raw(tfcam.FinerCAM, model, images, similar=2, weighted=True), expected)


def of_many_cells():
    return keras.Sequential([keras.Input((70, 70, 3)), L.Conv2D(2, 3, activation="relu"), L.Flatten(), L.Dense(2)])


def of_one_unit():
    return keras.Sequential([keras.Input((16, 12, 3)), L.Conv2D(2, 3), L.Flatten(), L.Dense(1)])


REFUSED = {
    "a kernel": (lambda m: tfcam.KPCACAM(m, kernel="cosine"), r"kernel='cosine' is unknown; choose 'sigmoid'"),
    "too many cells": (
        lambda _: tfcam.KPCACAM(of_many_cells()).explain(np.ones((1, 70, 70, 3), "float32")),
        "compares every cell with every other, and the layer has 4624; name a layer",
    ),
    "a utility": (lambda m: tfcam.ShapleyCAM(m, utility="best"), "utility='best' is unknown; choose 'rest' or 'score'"),
    "a form": (lambda m: tfcam.ShapleyCAM(m, form="max"), "form='max' is unknown; choose 'mean'"),
    "a window without a cell": (lambda m: tfcam.SegXResCAM(m, window=0), "window=0 has no cell"),
    "a window of parts": (lambda m: tfcam.SegXResCAM(m, window=2.5), "window=2.5 has no cell, or parts of one"),
    "a pooling": (lambda m: tfcam.SegXResCAM(m, pooling="sum"), "pooling='sum' is neither 'mean' nor 'max'"),
    "no similar class": (lambda m: tfcam.FinerCAM(m, similar=0), "similar=0 classes leave nothing to contrast with"),
    "no class beside": (
        lambda _: tfcam.GradCAM(of_one_unit(), operator="contrast"),
        "puts out a single unit, which has no class beside it",
    ),
    "no classes": (
        lambda m: tfcam.FinerCAM(m, operator="regression"),
        "FinerCAM explains a classification, and operator='regression' is none",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_means_nothing_is_refused(what, parts):
    call, message = REFUSED[what]
    with pytest.raises(ValueError, match=message):
        call(parts[0])
