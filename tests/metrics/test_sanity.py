"""Maps that are made again: by other weights, of other classes and of noisy images."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from metric_rows import SANITY_ROWS

import tfcam
from tfcam.backend.weight_randomization import RandomizedWeights
from tfcam.demo import load_model, make_scenes
from tfcam.metrics import EMPRT, ModelRandomization, RandomLogit, Stability

L = keras.layers
COUNT = 4


@pytest.fixture(scope="module")
def scenes():
    images, labels, _ = make_scenes(COUNT, objects=2, seed=5)
    return images.astype("float32"), labels[:, 0]


def weights_of(model):
    return [weight.numpy().copy() for weight in model.weights]


@pytest.fixture(scope="module")
def made_again(demo_model, scenes):
    """Return the maps of an explainer, of two other classes, of two noisy images, and after each of three stages."""
    images, labels = scenes
    explainer = tfcam.HiResCAM(demo_model, conv_layer="relu3", signed=True)

    def maps(x, y):
        return explainer.explain(x, y).numpy()[..., 0].astype(float)

    classes = demo_model.output_shape[-1]
    steps = 1 + np.random.default_rng(0).permutation(classes - 1)[:2]
    others = [maps(images, (labels + step) % classes) for step in steps]
    spread = np.ptp(images, axis=(1, 2, 3), keepdims=True)
    noise = [tf.random.stateless_normal(images.shape[1:], [0, sample]).numpy() for sample in range(2)]
    noisy = [maps(images + 0.1 * spread * one, labels) for one in noise]
    drawn = RandomizedWeights(demo_model, explainer.session.called_layers, 0)
    names = [layer.name for layer in drawn.layers]
    assert names[0] == "conv1" and names[-1] == "logits"
    stages = []
    for end in np.linspace(0, len(names), 4).round().astype(int)[1:]:
        with drawn.at(range(len(names) - end, len(names))):
            stages.append(maps(images, labels))
    return explainer, maps(images, labels), others, noisy, stages


@pytest.mark.parametrize(("name", "options", "oracle"), SANITY_ROWS, ids=lambda value: getattr(value, "__name__", None))
def test_a_metric_is_its_formula(name, options, oracle, demo_model, scenes, made_again):
    explainer, heatmaps, *again = made_again
    before = weights_of(demo_model)
    got = tfcam.get_metric(name)(demo_model, *scenes, **options).per_sample(heatmaps, explainer)
    of_each = [[[one[index] for one in maps] for maps in again] for index in range(COUNT)]
    expected = [oracle(heatmap, *maps) for heatmap, maps in zip(heatmaps, of_each, strict=True)]
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)
    for weight, value in zip(weights_of(demo_model), before, strict=True):
        np.testing.assert_array_equal(weight, value)


@pytest.fixture(scope="module")
def judged():
    """Return the similarities under a cascade of every layer, on the embedded model."""
    images, labels, _ = make_scenes(16, seed=3)
    methods = ["grad-cam", "guided-grad-cam"]
    metrics = {"model-randomization": {"stages": None, "similarity": "ssim"}}
    found = tfcam.evaluate(load_model(), images, labels[:, 0], methods, None, metrics)
    return {row.method: row.estimates["model-randomization"] for row in found.rows}


def test_guided_grad_cam_fails_the_cascade_and_grad_cam_passes(judged):
    guided, plain = judged["guided-grad-cam"], judged["grad-cam"]
    assert guided.low > 0.5 > plain.high
    assert guided.low > 2 * plain.high


def test_methods_that_explain_no_class_have_the_same_map_for_all(demo_model, scenes):
    metric = RandomLogit(demo_model, *scenes)
    for method, same in ((tfcam.EigenCAM, True), (tfcam.RandomCAM, True), (tfcam.GradCAM, False)):
        explainer = method(demo_model)
        value = metric.evaluate(explainer.explain(*scenes), explainer)
        assert (value > 0.999) == same


def test_a_map_that_looks_at_no_model_stays_the_same_and_one_of_noise_does_not(demo_model, scenes):
    class Brightness(tfcam.Explainer):
        def maps(self, run):
            return [tf.reduce_mean(run.source(), axis=-1)]

    blind = Brightness(demo_model)
    maps = blind.explain(*scenes)
    assert ModelRandomization(demo_model, *scenes).evaluate(maps, blind) == pytest.approx(1.0)
    assert EMPRT(demo_model, *scenes).evaluate(maps, blind) == pytest.approx(0.0)
    assert Stability(demo_model, *scenes, level=0.01).evaluate(maps, blind) > 0.9
    assert Stability(demo_model, *scenes, level=5.0).evaluate(maps, blind) < 0.5


def test_the_orders_draw_what_they_say(demo_model):
    layers = {}
    for order in ("cascading", "independent", "bottom-up"):
        metric = ModelRandomization(demo_model, None, order=order, stages=None)
        layers[order] = metric._stages(3)
    assert layers == {
        "cascading": [[2], [2, 1], [2, 1, 0]],
        "independent": [[2], [1], [0]],
        "bottom-up": [[0], [0, 1], [0, 1, 2]],
    }


def test_weights_are_drawn_by_the_layers_own_initializers():
    wide = L.Conv2D(64, 3, padding="same", kernel_initializer="he_normal", bias_initializer="ones")
    twin = L.Conv2D(64, 3, padding="same", kernel_initializer="he_normal")
    inner = keras.Sequential([keras.Input((8, 8, 64)), twin, L.BatchNormalization()])
    layers = [keras.Input((8, 8, 64)), L.Conv2D(64, 1), wide, inner, L.MultiHeadAttention(2, 4)]
    x = inputs = layers[0]
    for layer in layers[1:-1]:
        x = layer(x)
    x = L.Reshape((16, 64))(L.AveragePooling2D(2)(x))
    model = keras.Model(inputs, L.Dense(3)(layers[-1](x, x)))
    for weight in model.weights:
        weight.assign(7.0 + 0.0 * weight)
    drawn = RandomizedWeights(model, [], 5)
    with drawn.at(range(len(drawn.layers))):
        assert not any((value == 7.0).any() for value in weights_of(model))
        kernel, bias = wide.get_weights()
        assert (bias == 1.0).all()
        assert kernel.std() == pytest.approx(np.sqrt(2 / (9 * 64)), rel=0.05)
        assert not np.allclose(kernel, twin.get_weights()[0])
        gamma, beta, mean, variance = inner.layers[-1].get_weights()
        assert (gamma == 1).all() and (variance == 1).all() and not beta.any() and not mean.any()
        first = weights_of(model)
    assert all((value == 7.0).all() for value in weights_of(model))
    with RandomizedWeights(model, [], 5).at(range(len(drawn.layers))):
        for one, other in zip(first, weights_of(model), strict=True):
            np.testing.assert_array_equal(one, other)


class Scaled(L.Layer):
    """A layer that cannot be made again from its configuration."""

    def __init__(self, count):
        super().__init__()
        self.count = count

    def build(self, shape):
        self.scale = self.add_weight(shape=(self.count,), initializer="zeros", name="scale")

    def get_config(self):
        raise NotImplementedError("no configuration")

    def call(self, x):
        return x * self.scale


def test_weights_of_a_layer_without_a_configuration_are_shuffled():
    inputs = keras.Input((9, 9, 3))
    model = keras.Model(inputs, L.Dense(2)(L.GlobalAveragePooling2D()(Scaled(8)(L.Conv2D(8, 3)(inputs)))))
    scaled = model.layers[2]
    scaled.set_weights([np.arange(8.0)])
    drawn = RandomizedWeights(model, [], 0)
    with drawn.at([drawn.layers.index(scaled)]):
        [shuffled] = scaled.get_weights()
        assert sorted(shuffled) == list(range(8)) and list(shuffled) != list(range(8))
    assert scaled.get_weights()[0].tolist() == list(range(8))


def test_weights_are_the_models_own_again_after_an_error(demo_model):
    before = weights_of(demo_model)
    drawn = RandomizedWeights(demo_model, [], 0)
    with pytest.raises(KeyboardInterrupt), drawn.at(range(len(drawn.layers))):
        raise KeyboardInterrupt
    for weight, value in zip(weights_of(demo_model), before, strict=True):
        np.testing.assert_array_equal(weight, value)


def test_a_legacy_model_is_drawn_anew_too():
    legacy = pytest.importorskip("tf_keras")
    body = [legacy.layers.Conv2D(4, 3, activation="relu"), legacy.layers.DepthwiseConv2D(3, activation="relu")]
    head = [legacy.layers.GlobalAveragePooling2D(), legacy.layers.Dense(3)]
    model = legacy.Sequential([legacy.Input((16, 16, 3)), *body, *head])
    images = np.random.default_rng(0).uniform(size=(2, 16, 16, 3)).astype("float32")
    explainer = tfcam.HiResCAM(model, signed=True)
    maps = explainer.explain(images, 1)
    assert ModelRandomization(model, images, 1).evaluate(maps, explainer) < 0.95
    np.testing.assert_array_equal(explainer.explain(images, 1), maps)


BAD = {
    "similarity": (lambda m, x, y: Stability(m, x, y, similarity="cosine"), "'cosine' is none of 'spearman', 'ssim'"),
    "order": (lambda m, x, y: ModelRandomization(m, x, y, order="up"), "order='up' is none of"),
    "stages": (lambda m, x, y: ModelRandomization(m, x, y, stages=0), "stages=0 must be at least 1"),
    "samples": (lambda m, x, y: RandomLogit(m, x, y, samples=0), "samples=0 must be"),
    "operator": (lambda m, x, y: RandomLogit(m, x, y, operator="regression"), "operator='regression' has none"),
    "level": (lambda m, x, y: Stability(m, x, y, level=0), "level must be above 0"),
    "bins": (lambda m, x, y: EMPRT(m, x, y, bins=1), "bins=1 must be at least 2"),
}


@pytest.mark.parametrize(("make", "message"), BAD.values(), ids=BAD)
def test_bad_options_are_refused(make, message, demo_model, scenes):
    with pytest.raises(ValueError, match=message):
        make(demo_model, *scenes)


def test_functions_cannot_be_drawn_anew_and_small_maps_have_no_windows(demo_model, scenes):
    maps = tfcam.GradCAM(demo_model).explain(*scenes)
    for metric in (ModelRandomization, EMPRT):
        with pytest.raises(ValueError, match=r"needs a tfcam\.Explainer, got function"):
            metric(demo_model, *scenes).evaluate(maps, lambda inputs, targets: maps)
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, L.Dense(2)(L.GlobalAveragePooling2D()(L.Conv2D(3, 3)(inputs))))
    small = np.random.default_rng(0).uniform(size=(2, 8, 8, 3)).astype("float32")
    explainer = tfcam.HiResCAM(model, signed=True)
    with pytest.raises(ValueError, match="windows of 11 x 11 pixels"):
        Stability(model, small, 1, similarity="ssim").evaluate(explainer.explain(small, 1), explainer)
    empty = keras.Model(inputs, L.GlobalAveragePooling2D()(L.ReLU()(inputs)))
    of_empty = tfcam.HiResCAM(empty, conv_layer=0)
    with pytest.raises(ValueError, match="has no weights"):
        EMPRT(empty, small, 1).evaluate(of_empty.explain(small, 1), of_empty)
