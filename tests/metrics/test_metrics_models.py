"""Kinds of model, operators and inputs: a curve runs from the score of the image to that of the baseline."""

from functools import lru_cache

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from metric_rows import FEWER
from small_models import LABELS, ONE_HOT, L

import tfcam
from tfcam.metrics import AverageDrop, Deletion, MuFidelity

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.uniform(-1, 1, (5, 16, 12, 3)).astype("float32")


def classifier(package, shape, convolution="Conv2D"):
    layers = package.layers
    return package.Sequential(
        [
            package.Input(shape),
            getattr(layers, convolution)(4, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(4, activation="softmax"),
        ]
    )


class Unbuilt(keras.Model):
    def __init__(self):
        super().__init__()
        self.conv, self.flat, self.dense = L.Conv2D(4, 3, activation="relu"), L.Flatten(), L.Dense(4)

    def call(self, x):
        return tf.nn.softmax(self.dense(self.flat(self.conv(x))))


def nested():
    backbone = keras.Sequential([keras.Input((16, 12, 3)), L.Conv2D(4, 3), L.ReLU()], name="backbone")
    backbone.trainable = False
    return keras.Sequential([backbone, L.GlobalAveragePooling2D(), L.Dense(4, activation="softmax")])


def beside_numbers():
    image, numbers = keras.Input((16, 12, 3), name="image"), keras.Input((2,), name="numbers")
    x = L.Concatenate()([L.GlobalAveragePooling2D()(L.Conv2D(4, 3, activation="relu")(image)), numbers])
    return keras.Model([numbers, image], L.Dense(4, activation="softmax")(x))


def channels_first():
    inputs = keras.Input((3, 16, 12))
    x = L.Conv2D(4, 3, activation="relu", data_format="channels_first")(inputs)
    return keras.Model(inputs, L.Dense(4, activation="softmax")(L.GlobalAveragePooling2D("channels_first")(x)))


def several_outputs():
    inputs = keras.Input((16, 12, 3))
    x = L.GlobalAveragePooling2D()(L.Conv2D(4, 3, activation="relu")(inputs))
    return keras.Model(inputs, {"number": L.Dense(2)(x), "class": L.Dense(4, activation="softmax", name="class")(x)})


NUMBERS = RANDOM.uniform(size=(5, 2)).astype("float32")
SERIES = RANDOM.uniform(size=(5, 20, 3)).astype("float32")
VOLUMES = RANDOM.uniform(size=(5, 6, 5, 4, 1)).astype("float32")

#: A model, its inputs, those that are all baseline, and the grid of its maps.
MODELS = {
    "Keras 3": (lambda: classifier(keras, (16, 12, 3)), IMAGES, 0 * IMAGES, (16, 12)),
    "tf_keras": (lambda: classifier(tf_keras, (16, 12, 3)), IMAGES, 0 * IMAGES, (16, 12)),
    "unbuilt": (Unbuilt, IMAGES, 0 * IMAGES, (16, 12)),
    "nested": (nested, IMAGES, 0 * IMAGES, (16, 12)),
    "images beside numbers": (beside_numbers, [NUMBERS, IMAGES], [NUMBERS, 0 * IMAGES], (16, 12)),
    "series": (lambda: classifier(keras, (20, 3), "Conv1D"), SERIES, 0 * SERIES, (20,)),
    "volumes": (lambda: classifier(keras, (6, 5, 4, 1), "Conv3D"), VOLUMES, 0 * VOLUMES, (6, 5, 4)),
}


@pytest.mark.parametrize(("make", "inputs", "blank", "grid"), MODELS.values(), ids=MODELS)
def test_a_curve_runs_from_the_score_of_the_image_to_that_of_the_baseline(make, inputs, blank, grid):
    model = make()
    maps = RANDOM.uniform(size=(5, *grid))
    curve = Deletion(model, inputs, LABELS, 3, percent=25).curve(maps)
    assert curve.scores.shape == (5, 5)
    for place, images in ((0, inputs), (-1, blank)):
        expected = np.asarray(model(images))[np.arange(5), LABELS]
        np.testing.assert_allclose(curve.scores[:, place], expected, rtol=1e-4)


@pytest.fixture(scope="module", params=MODELS)
def kind(request):
    """Return a kind whose tests run one after the other, so that they share what is explained."""
    return request.param


@lru_cache(1)
def explained(kind):
    make, inputs, _, grid = MODELS[kind]
    explainer = tfcam.GradCAM(make())
    return explainer, inputs, grid, explainer.explain(inputs, LABELS)


@pytest.mark.parametrize("name", sorted(set(tfcam.METRICS) - {"road", "arcc"}))
def test_every_metric_takes_every_kind_of_model(kind, name):
    explainer, inputs, grid, maps = explained(kind)
    needed = {"masks": RANDOM.uniform(size=(5, *grid)) > 0.5} if tfcam.METRICS[name].needs_objects else {}
    options = needed | FEWER.get(name, {})
    metric = tfcam.get_metric(name)(explainer.model, inputs, LABELS, constant="nan", **options)
    if name == "max-box-acc" and len(grid) != 2:
        with pytest.raises(ValueError, match="of two dimensions"):
            metric.per_sample(maps)
        return
    values = metric.per_sample(maps, explainer if metric.needs_explainer else None)
    assert values.shape == (5,) and np.isfinite(values).any()


def test_road_fills_in_series_and_volumes():
    for name in ("series", "volumes"):
        make, inputs, _, grid = MODELS[name]
        values = tfcam.metrics.ROAD(make(), inputs, LABELS).per_sample(RANDOM.uniform(size=(5, *grid)))
        assert np.isfinite(values).all()


def test_a_model_of_integers_gets_rounded_images():
    inputs = keras.Input((16, 12, 3), dtype="uint8")
    x = L.Flatten()(L.Rescaling(1 / 255)(inputs))
    model = keras.Model(inputs, L.Dense(4, activation="softmax")(x))
    images = RANDOM.integers(0, 256, (5, 16, 12, 3)).astype("uint8")
    maps = RANDOM.uniform(size=(5, 16, 12))
    curve = Deletion(model, images, LABELS, percent=50, baseline=99.6).curve(maps)
    expected = np.asarray(model(np.full_like(images, 100)))[np.arange(5), LABELS]
    np.testing.assert_allclose(curve.scores[:, -1], expected, rtol=1e-5)


def test_one_of_several_outputs_is_measured():
    model = several_outputs()
    maps = RANDOM.uniform(size=(5, 16, 12))
    curve = Deletion(model, IMAGES, LABELS, output_layer="class", percent=50).curve(maps)
    expected = np.asarray(model(IMAGES)["class"])[np.arange(5), LABELS]
    np.testing.assert_allclose(curve.scores[:, 0], expected, rtol=1e-5)


def test_targets_are_classes_weights_or_predicted(model, images):
    maps = RANDOM.uniform(size=(5, 16, 12))
    expected = Deletion(model, images, LABELS).per_sample(maps)
    np.testing.assert_allclose(Deletion(model, images, ONE_HOT).per_sample(maps), expected, rtol=1e-6)
    predicted = np.asarray(model(images)).argmax(axis=1)
    expected = Deletion(model, images, predicted).per_sample(maps)
    np.testing.assert_allclose(Deletion(model, images, "predicted").per_sample(maps), expected, rtol=1e-6)


def test_the_scores_of_operators_are_measured_as_they_are(model, images):
    maps = RANDOM.uniform(size=(5, 16, 12))

    def half_the_second(model, inputs, targets):
        return model(inputs)[:, 1] / 2

    curve = Deletion(model, images, operator=half_the_second, percent=50).curve(maps)
    np.testing.assert_allclose(curve.scores[:, 0], np.asarray(model(images))[:, 1] / 2, rtol=1e-5)
    curve = Deletion(model, images, 2, operator="contrast", percent=50).curve(maps)
    kernel, bias = model.get_layer("scores").get_weights()
    logits = np.asarray(keras.Model(model.inputs, model.get_layer("hidden").output)(images)) @ kernel + bias
    expected = logits[:, 2] - 0.6 * np.delete(logits, 2, axis=1).mean(axis=1)
    np.testing.assert_allclose(curve.scores[:, 0], expected, rtol=1e-4, atol=1e-5)


def test_labels_of_a_regression_are_no_targets(images):
    model = keras.Sequential([keras.Input((16, 12, 3)), L.Conv2D(2, 3), L.GlobalAveragePooling2D(), L.Dense(1)])
    maps = RANDOM.uniform(size=(5, 16, 12))
    dataset = tf.data.Dataset.from_tensor_slices((images, np.full(5, 1000.0))).batch(2)
    curve = Deletion(model, dataset, operator="regression", percent=50).curve(maps)
    np.testing.assert_allclose(curve.scores[:, 0], np.asarray(model(images))[:, 0], rtol=1e-4, atol=1e-6)
    with pytest.raises(ValueError, match="defined for probabilities"):
        AverageDrop(lambda x: 7 + model(x), images, operator="regression").evaluate(maps)


def test_a_model_that_was_changed_is_measured_as_it_is_now(model, images):
    maps = RANDOM.uniform(size=(5, 16, 12))
    metric = MuFidelity(model, images, LABELS)
    metric.evaluate(maps)
    model.get_layer("first").set_weights([-weights for weights in model.get_layer("first").get_weights()])
    expected = MuFidelity(model, images, LABELS).per_sample(maps)
    np.testing.assert_allclose(metric.per_sample(maps), expected, rtol=1e-5)
