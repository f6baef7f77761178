"""Every metric: its formula written out, its bounds, and that it takes whatever an explainer takes."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from metric_rows import AXIOM_ROWS, FEWER, LOCALISATION_ROWS, ROWS, SANITY_ROWS

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
def explainer(demo_model):
    """Return what makes maps with a sign, where an order by value and one without sign part."""
    return tfcam.HiResCAM(demo_model, conv_layer="relu3", signed=True)


@pytest.fixture(scope="module")
def heatmaps(explainer, scenes):
    return explainer.explain(*scenes).numpy()


@pytest.fixture(scope="module")
def score_of(demo_model):
    """Return a function that gives the probability of a class for one image."""
    forward = tf.function(lambda images: demo_model(images, training=False))
    return lambda label: lambda image: float(forward(tf.constant(image[None], tf.float32))[0, label])


def per_sample(metric, heatmaps, explainer, **options):
    return metric.per_sample(heatmaps, explainer if metric.needs_explainer else None, **options)


@pytest.fixture(scope="module")
def expected(demo_model, scenes, heatmaps, explainer):
    """Return a function that gives a metric's value of each map, all images being one batch; computed once."""

    @functools.cache
    def values(name):
        metric = tfcam.get_metric(name)(demo_model, *scenes, batch_size=None, **needed(name), **FEWER.get(name, {}))
        return per_sample(metric, heatmaps, explainer)

    return values


def test_every_metric_has_a_row():
    assert {name for name, *_ in [*ROWS, *AXIOM_ROWS, *LOCALISATION_ROWS, *SANITY_ROWS]} == set(tfcam.METRICS)


@pytest.mark.parametrize(("name", "options", "oracle"), ROWS, ids=lambda value: getattr(value, "__name__", None))
def test_a_metric_is_its_formula(name, options, oracle, demo_model, scenes, heatmaps, explainer, score_of):
    metric = tfcam.get_metric(name)(demo_model, *scenes, **options)
    got = per_sample(metric, heatmaps, explainer)
    low, high = metric.bounds
    assert low <= got.min() and got.max() <= high
    expected = []
    for image, label, heatmap in zip(*scenes, heatmaps, strict=True):
        arguments = [score_of(label), image, heatmap[..., 0].astype(float)]
        if tfcam.METRICS[name].needs_explainer:
            arguments.append(lambda one, label=label: explainer.explain(one[None].astype("float32"), label).numpy())
        expected.append(oracle(*arguments))
    assert got.shape == (COUNT,) and got.dtype == np.float64
    # Percent are a hundred times as large.
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5 * min(100.0, high))


@pytest.mark.parametrize("name", sorted(tfcam.METRICS))
def test_a_metric_does_not_depend_on_the_batches(name, demo_model, scenes, heatmaps, explainer, expected):
    options = needed(name) | FEWER.get(name, {})
    for batch_size in (1, 2):
        metric = tfcam.get_metric(name)(demo_model, *scenes, batch_size=batch_size, **options)
        got = per_sample(metric, heatmaps, explainer)
        np.testing.assert_allclose(got, expected(name), atol=1e-4 * max(1, np.abs(expected(name)).max()))


@pytest.mark.parametrize("name", sorted(tfcam.METRICS))
def test_a_metric_lies_within_its_bounds_and_its_mean_is_the_value(
    name, demo_model, scenes, heatmaps, explainer, expected
):
    metric = tfcam.get_metric(name)(demo_model, *scenes, **needed(name), **FEWER.get(name, {}))
    low, high = metric.bounds
    assert np.isfinite(expected(name)).all() and low <= expected(name).min() and expected(name).max() <= high
    given = (heatmaps, explainer if metric.needs_explainer else None)
    assert metric.evaluate(*given) == metric(*given) == pytest.approx(expected(name).mean())


@pytest.mark.parametrize("name", sorted(tfcam.METRICS))
def test_a_metric_takes_a_dataset_maps_without_channels_and_a_function(
    name, demo_model, scenes, heatmaps, explainer, expected
):
    def black_box(images):
        return np.asarray(demo_model(np.asarray(images), training=False)).tolist()

    dataset = tf.data.Dataset.from_tensor_slices(scenes)
    for given in ((demo_model, dataset), (black_box, dataset.batch(2))):
        metric = tfcam.get_metric(name)(*given, **needed(name), **FEWER.get(name, {}))
        got = per_sample(metric, heatmaps[..., 0], explainer)
        np.testing.assert_allclose(got, expected(name), atol=1e-4 * max(1, np.abs(expected(name)).max()))


@pytest.mark.parametrize("name", sorted({name for name, *_ in ROWS} - {"complexity"}))
def test_no_more_images_are_held_than_a_batch_has(name, demo_model, scenes, heatmaps, explainer):
    seen, told = [], []

    def model(images):
        seen.append(len(images))
        return demo_model(images, training=False)

    metric = tfcam.get_metric(name)(model, *scenes, batch_size=2, **FEWER.get(name, {}))
    per_sample(metric, heatmaps, explainer, progress=told.append)
    assert max(seen) == 2 and told == [2, 3]


def test_the_probabilities_of_a_model_of_logits_are_measured(demo_model, scenes, heatmaps, expected):
    logits = keras.Model(demo_model.inputs, demo_model.get_layer("logits").output)

    def function(images):
        return logits(images, training=False)

    for model, options in ((logits, {}), (logits, {"activation": "softmax"}), (function, {"activation": "softmax"})):
        got = tfcam.metrics.AverageDrop(model, *scenes, **options).per_sample(heatmaps)
        np.testing.assert_allclose(got, expected("average-drop"), rtol=1e-4)


def test_it_is_known_whether_more_is_better():
    worse = {name for name, metric in tfcam.METRICS.items() if not metric.higher_is_better}
    assert worse == {
        *("average-drop", "complexity", "conservation", "deletion", "model-randomization", "random-logit"),
        "sensitivity",
    }


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
