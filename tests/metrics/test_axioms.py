"""Sensitivity and conservation: their formulas, what is known of them, and what they are not of."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from metric_rows import AXIOM_ROWS
from small_models import with_random_weights

import tfcam
from tfcam.metrics import Conservation, Sensitivity

L = keras.layers


def network(*tail, seed=4):
    """Return a network with a layer of features, and what comes behind it."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((12, 10, 3))
    features = L.Conv2D(6, 3, activation="relu", name="features")(inputs)
    outputs = features
    for layer in tail or (L.Conv2D(5, 3, activation="relu"), L.Flatten(), L.Dense(7, activation="relu"), L.Dense(4)):
        outputs = layer(outputs)
    model = with_random_weights(keras.Model(inputs, outputs), seed)
    return model, keras.Model(inputs, features), keras.Model(features, outputs)


@pytest.fixture
def images():
    return np.random.default_rng(3).uniform(0, 1, (3, 12, 10, 3)).astype("float32")


def grad_cam(activations, gradients):
    return gradients.mean((0, 1)) * activations


def xgrad_cam(activations, gradients):
    total = activations.sum((0, 1))
    return np.divide((gradients * activations).sum((0, 1)), total, out=0 * total, where=total > 0) * activations


def hires_cam(activations, gradients):
    return gradients * activations


METHODS = {"grad-cam": grad_cam, "xgrad-cam": xgrad_cam, "hires-cam": hires_cam}
TARGETS = [0, 3, 1]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("name", "oracle"), AXIOM_ROWS, ids=lambda value: getattr(value, "__name__", value))
def test_an_axiom_is_its_formula(name, oracle, method, images):
    model, features, head = network()
    expected = []
    for image, target in zip(images, TARGETS, strict=True):
        activations = features(image[None])
        with tf.GradientTape() as tape:
            tape.watch(activations)
            score = head(activations)[0, target]
        gradients = tape.gradient(score, activations)[0].numpy()
        without = [float(head(activations * (np.arange(6) != k))[0, target]) for k in range(6)]
        contributed = METHODS[method](activations[0].numpy().astype(float), gradients).sum((0, 1))
        expected.append(oracle(float(score), without, contributed))
    explainer = tfcam.get_method(method)(model, conv_layer="features")
    got = tfcam.get_metric(name)(model, images, TARGETS).per_sample(explainer.explain(images, TARGETS), explainer)
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def errors(metric, model, images, method, target=1, layer="features"):
    explainer = tfcam.get_method(method)(model, conv_layer=layer)
    return metric(model, images, target).per_sample(explainer.explain(images, target), explainer)


@pytest.mark.parametrize("layer", ["features", "second"])
def test_the_error_of_xgrad_cam_in_conservation_is_the_bias_term_over_the_score(layer, images):
    tail = (L.Conv2D(5, 3, activation="relu", name="second"), L.BatchNormalization(), L.Activation("silu"))
    model, *_ = network(*tail, L.Flatten(), L.Dense(7, activation="relu"), L.Dense(4))
    found = tfcam.verify_conservation(model, images, 1, layer)
    expected = np.abs(found.bias / found.scores)
    assert expected.min() > 0.01
    for method in ("xgrad-cam", "hires-cam"):
        np.testing.assert_allclose(errors(Conservation, model, images, method, 1, layer), expected, rtol=1e-4)


def test_behind_an_average_and_one_dense_layer_nothing_is_missed_but_its_bias(images):
    model, *_ = network(L.GlobalAveragePooling2D(), L.Dense(4))
    bias, scores = model.layers[-1].bias.numpy()[1], model(images).numpy()[:, 1]
    for method in METHODS:
        assert errors(Sensitivity, model, images, method).max() < 1e-4
        np.testing.assert_allclose(errors(Conservation, model, images, method), np.abs(bias / scores), rtol=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_on_networks_like_vgg_xgrad_cam_is_more_sensitive_than_grad_cam_and_that_by_far_than_plus_plus(seed):
    images = np.random.default_rng(3).uniform(0, 1, (12, 12, 10, 3)).astype("float32")
    model, *_ = network(seed=seed)
    methods = ["xgrad-cam", "grad-cam", "grad-cam-plus-plus"]
    found = tfcam.evaluate(model, images, 1, methods, "features", ["sensitivity", "conservation"]).per_sample
    xgrad, grad, plus_plus = (found[method, "features"] for method in methods)
    sensitive = [np.median(one["sensitivity"]) for one in (xgrad, grad, plus_plus)]
    assert sensitive[0] < sensitive[1] < 0.1 * sensitive[2]
    assert np.median(grad["conservation"]) < 0.1 * np.median(plus_plus["conservation"])


def test_maps_that_are_no_sum_over_channels_have_none(images):
    model, *_ = network()
    maps = tfcam.GradCAM(model).explain(images, 1)
    for explainer, why in (
        (tfcam.EigenCAM(model), "the map of EigenCAM is no sum of that"),
        (tfcam.GradCAM(model, conv_layer=["features", "features"]), "it explains 2 layers"),
        (lambda inputs, targets: maps, "function is no tfcam.Explainer"),
    ):
        with pytest.raises(ValueError, match=why):
            Sensitivity(model, images, 1).evaluate(maps, explainer)
    found = tfcam.evaluate(model, images, 1, ["eigen-cam", "grad-cam"], "features", "sensitivity")
    counts = {row.method: row.estimates["sensitivity"].images for row in found.rows}
    assert counts == {"eigen-cam": 0, "grad-cam": 3}
    assert "nan" not in str(found)


def test_a_table_has_what_each_method_has_alone(images):
    model, *_ = network()
    found = tfcam.evaluate(model, images, 1, list(METHODS), "features", [Sensitivity, Conservation])
    for row in found.rows:
        explainer = tfcam.get_method(row.method)(model, conv_layer="features")
        maps = explainer.explain(images, 1)
        for metric in (Sensitivity, Conservation):
            alone = metric(model, images, 1).evaluate(maps, explainer)
            assert row.estimates[metric.name].mean == pytest.approx(alone, rel=1e-5)


def test_explainers_of_other_models_and_scores_have_losses_of_their_own(images):
    model, *_ = network()
    other, *_ = network(seed=9)

    def doubled(model, inputs, targets):
        return 2.0 * model(inputs)[:, 2]

    explainers = {
        "grad-cam": tfcam.GradCAM(model, conv_layer="features"),
        "another model": tfcam.GradCAM(other, conv_layer="features"),
        "another score": tfcam.GradCAM(model, conv_layer="features", operator=doubled),
    }
    one = Sensitivity(model, images, 1)
    for explainer in explainers.values():
        maps = explainer.explain(images, 1)
        alone = Sensitivity(model, images, 1).per_sample(maps, explainer)
        np.testing.assert_allclose(one.per_sample(maps, explainer), alone, rtol=1e-6)
