"""Metrics whose value is known: of linear models, of maps that are ranked alike, of maps drawn at random."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfcam
from tfcam.metrics import MuFidelity

GRID = (6, 5)


@pytest.fixture
def images():
    return np.random.default_rng(1).uniform(0, 1, (4, *GRID, 1)).astype("float32")


def total(x):
    """Return a model that is the sum of its input."""
    return tf.reduce_sum(x, axis=[1, 2, 3])[:, None]


def test_what_a_linear_model_loses_is_what_was_deleted(images):
    weights = np.random.default_rng(2).uniform(0, 1, (*GRID, 1)).astype("float32")
    contributions = images * weights

    def linear(x):
        return tf.reduce_sum(x * weights, axis=[1, 2, 3])[:, None]

    curve = tfcam.metrics.Deletion(linear, images, 1, step=1).curve(contributions)
    sorted_away = -np.sort(-contributions.reshape(4, -1), axis=1)
    lost = np.cumsum(np.insert(sorted_away, 0, 0, axis=1), axis=1)
    np.testing.assert_allclose(curve.scores, lost[:, -1:] - lost, atol=1e-5)
    np.testing.assert_allclose(curve.shares, np.arange(31) / 30)
    # By default a step takes as many pixels as a row has.
    rows = tfcam.metrics.Deletion(linear, images, 1).curve(contributions)
    np.testing.assert_allclose(rows.shares, np.arange(7) / 6)
    np.testing.assert_allclose(rows.scores, (lost[:, -1:] - lost)[:, ::5], atol=1e-5)
    inserted = tfcam.metrics.Insertion(linear, images, 1, step=1, baseline=0).curve(contributions)
    np.testing.assert_allclose(inserted.scores, lost, atol=1e-5)
    areas = tfcam.metrics.Deletion(linear, images, 1, step=1).per_sample(contributions)
    np.testing.assert_allclose(
        areas,
        [np.trapezoid(s, dx=1 / 30) if hasattr(np, "trapezoid") else np.trapz(s, dx=1 / 30) for s in curve.scores],
    )


def test_a_map_of_nothing_coheres_with_none(pooled_model):
    """Where the map is high the image is black, so that the image seen through the map is black all over."""
    images, maps = np.ones((1, 16, 12, 3), "float32"), np.zeros((1, 16, 12, 1))
    images[:, 3, 4], maps[:, 3, 4] = 0, 1
    explainer = tfcam.GradCAM(pooled_model)
    assert tfcam.get_metric("coherency")(pooled_model, images, 1).per_sample(maps, explainer) == [0]


def test_no_order_deletes_a_linear_model_sooner_than_that_of_its_contributions(images):
    best = tfcam.metrics.Deletion(total, images, 1, step=1).per_sample(images)
    for seed in range(10, 15):
        other = np.random.default_rng(seed).uniform(size=images.shape)
        assert (tfcam.metrics.Deletion(total, images, 1, step=1).per_sample(other) > best).all()


def test_the_area_of_random_maps_is_half_of_the_score_of_a_linear_model_on_average(images):
    image = np.repeat(images[:1], 400, axis=0)
    maps = np.random.default_rng(0).uniform(size=image.shape)
    areas = tfcam.metrics.Deletion(total, image, 1, step=1, batch_size=4000).per_sample(maps)
    score = float(images[0].sum())
    assert areas.mean() == pytest.approx(score / 2, abs=4 * areas.std() / 20)


@pytest.mark.parametrize("name", ["deletion", "insertion", "road"])
@pytest.mark.parametrize(
    "transform", [np.exp, lambda maps: 3 * maps - 7, lambda maps: maps**3], ids=["exp", "3x-7", "x^3"]
)
def test_a_monotone_transform_of_maps_changes_no_metric_of_ranks(name, transform, images):
    maps = np.random.default_rng(3).normal(size=images.shape)
    metric = tfcam.get_metric(name)(lambda x: tf.nn.sigmoid(total(x**2) - 8), images, 1)
    np.testing.assert_array_equal(metric.per_sample(maps), metric.per_sample(transform(maps)))


def test_what_is_alike_goes_in_reading_order(images):
    even = np.zeros((4, *GRID, 1))
    even[:, -1, -1] = 1
    curve = tfcam.metrics.Deletion(total, images, 1, step=1).curve(even)
    flat = images.reshape(4, -1)
    order = [29, *range(29)]
    expected = flat.sum(axis=1, keepdims=True) - np.cumsum(np.insert(flat[:, order], 0, 0, axis=1), axis=1)
    np.testing.assert_allclose(curve.scores, expected, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"cells": None}, {"correlation": "spearman"}, {"sampling": "bernoulli"}])
def test_the_sum_of_the_input_is_faithful_to_the_input(options, images):
    metric = MuFidelity(total, images, 1, **options)
    np.testing.assert_allclose(metric.per_sample(images), 1, atol=1e-5)
    np.testing.assert_allclose(metric.per_sample(-images), -1, atol=1e-5)
    model = keras.Sequential(
        [keras.Input((*GRID, 1)), keras.layers.Flatten(), keras.layers.Dense(1, kernel_initializer="ones")]
    )
    as_it_is = MuFidelity(model, images, 1, activation=None, **options)
    np.testing.assert_allclose(as_it_is.per_sample(images), 1, atol=1e-4)
    named = MuFidelity(model, images, 1, operator="regression", **options)
    np.testing.assert_allclose(named.per_sample(images), 1, atol=1e-4)


def test_a_score_that_nothing_changes_correlates_with_nothing(images):
    metric = MuFidelity(lambda x: tf.zeros((len(x), 2)) + 0.5, images, 1)
    assert metric.evaluate(images) == 0.0


def test_road_leaves_the_score_of_a_plane_as_it_is(images):
    plane = np.tile(np.linspace(0, 1, 12)[:, None, None], (2, 1, 12, 1)).astype("float32")
    maps = np.zeros((2, 12, 12))
    maps[:, 4:8, 4:8] = np.arange(16).reshape(4, 4) + 1.0

    def corner(x):
        return tf.reduce_mean(x[:, 4:8, 4:8], axis=[1, 2, 3])[:, None]

    removed = tfcam.metrics.ROAD(corner, plane, 1, order="most", percents=[100 * 16 / 144], noise=0)
    np.testing.assert_allclose(removed.per_sample(maps), corner(plane)[:, 0], rtol=1e-5)


def test_road_stands_maps_that_are_mostly_zero(images):
    maps = np.zeros(images.shape)
    maps[:, :2, :2] = 1 + np.arange(4).reshape(2, 2, 1)
    values = tfcam.metrics.ROAD(lambda x: tf.nn.sigmoid(total(x)), images, 1).per_sample(maps)
    assert np.isfinite(values).all()


def test_subsets_and_noise_follow_from_the_seed(images):
    maps = np.random.default_rng(3).normal(size=images.shape)

    def model(x):
        return tf.nn.sigmoid(total(x**2) - 8)

    for metric in (MuFidelity, tfcam.metrics.ROAD):
        one, again, other = (metric(model, images, 1, seed=seed).per_sample(maps) for seed in (1, 1, 2))
        np.testing.assert_array_equal(one, again)
        assert np.abs(one - other).max() > 1e-6
