"""Every metric: its formula written out, its bounds, and that it takes whatever an explainer takes."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from metric_rows import AXIOM_ROWS, LOCALISATION_ROWS, ROWS, SANITY_ROWS

import tfcam
from tfcam.demo import make_scenes

COUNT = 3


@pytest.fixture(scope="module")
def scenes():
    images, labels, _ = make_scenes(COUNT, objects=2, seed=5)
    return images, labels[:, 0]


def needed(name):
    """Return the options without which a metric measures nothing."""
    masks = make_scenes(COUNT, objects=2, seed=5).masks[:, 0]
    return {"masks": masks} if tfcam.METRICS[name].needs_objects else {}


@pytest.fixture(scope="module")
def heatmaps(demo_model, scenes):
    """Return maps with a sign, where an order by value and one without sign part."""
    return explainer_of(demo_model).explain(*scenes).numpy()


@pytest.fixture(scope="module")
def score_of(demo_model):
    """Return a function that gives the probability of a class for one image."""
    forward = tf.function(lambda images: demo_model(images, training=False))
    return lambda label: lambda image: float(forward(tf.constant(image[None], tf.float32))[0, label])


def measured(name, model, scenes, heatmaps, **options):
    metric = tfcam.get_metric(name)(model, *scenes, **needed(name), **options)
    return metric.per_sample(heatmaps, explainer_of(model) if metric.needs_explainer else None)


def explainer_of(model):
    """Return what made the maps."""
    return tfcam.HiResCAM(model, conv_layer="relu3", signed=True)


def test_every_metric_has_a_row():
    assert {name for name, *_ in [*ROWS, *AXIOM_ROWS, *LOCALISATION_ROWS, *SANITY_ROWS]} == set(tfcam.METRICS)


@pytest.mark.parametrize(("name", "options", "oracle"), ROWS, ids=lambda value: getattr(value, "__name__", None))
def test_a_metric_is_its_formula(name, options, oracle, demo_model, scenes, heatmaps, score_of):
    got = measured(name, demo_model, scenes, heatmaps, **options)
    explainer, expected = explainer_of(demo_model), []
    for image, label, heatmap in zip(*scenes, heatmaps, strict=True):
        arguments = [score_of(label), image, heatmap[..., 0].astype(float)]
        if tfcam.METRICS[name].needs_explainer:
            arguments.append(lambda one, label=label: explainer.explain(one[None].astype("float32"), label).numpy())
        expected.append(oracle(*arguments))
    assert got.shape == (COUNT,) and got.dtype == np.float64
    # Percent are a hundred times as large.
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5 * min(100.0, tfcam.METRICS[name].bounds[1]))


@pytest.mark.parametrize("name", sorted(tfcam.METRICS))
def test_a_metric_does_not_depend_on_the_batches(name, demo_model, scenes, heatmaps):
    expected = measured(name, demo_model, scenes, heatmaps)
    for batch_size in (1, 2, None):
        got = measured(name, demo_model, scenes, heatmaps, batch_size=batch_size)
        np.testing.assert_allclose(got, expected, atol=1e-4 * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("name", sorted(tfcam.METRICS))
def test_a_metric_lies_within_its_bounds_and_its_mean_is_the_value(name, demo_model, scenes, heatmaps):
    metric = tfcam.get_metric(name)(demo_model, *scenes, **needed(name))
    explainer = explainer_of(demo_model) if metric.needs_explainer else None
    values = metric.per_sample(heatmaps, explainer)
    low, high = metric.bounds
    assert np.isfinite(values).all() and low <= values.min() and values.max() <= high
    assert metric.evaluate(heatmaps, explainer) == pytest.approx(values.mean())
    assert metric(heatmaps, explainer) == pytest.approx(values.mean())


@pytest.mark.parametrize("name", sorted(tfcam.METRICS))
def test_a_metric_takes_a_dataset_maps_without_channels_and_a_function(name, demo_model, scenes, heatmaps):
    expected = measured(name, demo_model, scenes, heatmaps)
    metric, explainer = tfcam.get_metric(name), explainer_of(demo_model)

    def values(*arguments, **options):
        made = metric(*arguments, **needed(name), **options)
        return made.per_sample(heatmaps[..., 0], explainer if made.needs_explainer else None)

    tolerance = {"atol": 1e-4 * max(1, np.abs(expected).max())}
    dataset = tf.data.Dataset.from_tensor_slices(scenes)
    np.testing.assert_allclose(values(demo_model, dataset), expected, **tolerance)
    np.testing.assert_allclose(values(demo_model, dataset.batch(2)), expected, **tolerance)

    def black_box(images):
        return np.asarray(demo_model(np.asarray(images), training=False)).tolist()

    np.testing.assert_allclose(values(black_box, *scenes), expected, **tolerance)


@pytest.mark.parametrize("name", sorted({name for name, *_ in ROWS} - {"complexity"}))
def test_no_more_images_are_held_than_a_batch_has(name, demo_model, scenes, heatmaps):
    seen, told = [], []

    def model(images):
        seen.append(len(images))
        return demo_model(images, training=False)

    metric = tfcam.get_metric(name)(model, *scenes, batch_size=2)
    explainer = explainer_of(demo_model) if metric.needs_explainer else None
    metric.per_sample(heatmaps, explainer, progress=told.append)
    assert max(seen) == 2 and told == [2, 3]


def test_the_probabilities_of_a_model_of_logits_are_measured(demo_model, scenes, heatmaps):
    logits = keras.Model(demo_model.inputs, demo_model.get_layer("logits").output)
    expected = measured("average-drop", demo_model, scenes, heatmaps)
    np.testing.assert_allclose(measured("average-drop", logits, scenes, heatmaps), expected, rtol=1e-4)
    asked = measured("average-drop", logits, scenes, heatmaps, activation="softmax")
    np.testing.assert_allclose(asked, expected, rtol=1e-4)

    def function(images):
        return logits(images, training=False)

    asked = measured("average-drop", function, scenes, heatmaps, activation="softmax")
    np.testing.assert_allclose(asked, expected, rtol=1e-4)


def test_average_drop_of_those_that_dropped_leaves_the_others_out():
    images = np.ones((2, 4, 4, 1), "float32")
    maps = np.stack([np.eye(4), 1 - np.eye(4)]).astype("float32")

    def model(x):
        diagonal = tf.reduce_sum(tf.linalg.diag_part(x[..., 0]), axis=-1)
        return tf.stack([diagonal / 4, 1 - diagonal / 4], axis=1)

    drop = tfcam.metrics.AverageDrop(model, images, 0, averaged_over="dropped")
    assert drop.evaluate(maps) == 100.0 and np.isnan(drop.per_sample(maps)[0])
    assert tfcam.metrics.AverageDrop(model, images, 0).evaluate(maps) == 50.0


def test_a_single_unit_has_two_classes():
    images = np.ones((1, 2, 2, 1), "float32")
    maps = np.array([[[1.0, 0.0], [0.0, 0.0]]], "float32")
    inputs = keras.Input((2, 2, 1))
    outputs = keras.layers.Activation("sigmoid")(keras.layers.Flatten()(keras.layers.AveragePooling2D(2)(inputs)))
    model = keras.Model(inputs, outputs)
    sure, left = 1 / (1 + np.exp(-1.0)), 1 / (1 + np.exp(-0.25))
    drop = tfcam.metrics.AverageDrop
    assert drop(model, images, 1).evaluate(maps) == pytest.approx(100 * (sure - left) / sure, rel=1e-5)
    assert drop(model, images, 0).evaluate(maps) == 0.0
    gain = tfcam.metrics.AverageGain(model, images, 0).evaluate(maps)
    assert gain == pytest.approx(100 * (sure - left) / sure, rel=1e-5)
