"""XGrad-CAM's equation: a score is gradient times feature, bias term, and what comes around the layer."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_models import with_random_weights

import tfcam
from tfcam import list_layers, verify_conservation
from tfcam.demo.embedded import load_model
from tfcam.demo.scenes import make_scenes

L = keras.layers
#: Float32 leaves no more.
ROUNDING = 1e-4


def photographs(model, count=2, seed=1):
    return np.random.default_rng(seed).uniform(0, 1, (count, *model.input_shape[1:])).astype("float32")


def classifier(*layers, size=12):
    keras.utils.set_random_seed(2)
    head = [L.GlobalAveragePooling2D(), L.Dense(4)]
    return with_random_weights(keras.Sequential([keras.Input((size, size, 3)), *layers, *head]))


def every_layer(model, images, target=3):
    layers = [info.path for info in list_layers(model)]
    return verify_conservation(model, images, target, layers)


DEEP = [pytest.param(name, marks=pytest.mark.slow) for name in ("MobileNetV2", "ResNet50", "DenseNet121")]


@pytest.mark.parametrize("name", ["VGG16", *DEEP])
def test_the_equation_holds_at_every_layer_of_a_network_of_random_weights(name):
    model = with_random_weights(getattr(keras.applications, name)(weights=None, input_shape=(64, 64, 3)))
    found = every_layer(model, photographs(model))
    assert len(found) == len(list_layers(model))
    worst = max(found, key=lambda one: one.relative_residuals.max())
    assert worst.relative_residuals.max() < ROUNDING, str(worst)
    assert not any(one.reasons for one in found)
    assert all(np.abs(one.bias).min() > 0 for one in found)


def test_the_terms_are_those_of_a_formula_that_is_written_out():
    model = classifier(L.Conv2D(5, 3, activation="relu", name="features"))
    images = photographs(model, 3)
    features = keras.Model(model.inputs, model.get_layer("features").output)(images).numpy()
    kernel, bias = model.layers[-1].get_weights()
    found = verify_conservation(model, images, [0, 1, 2])
    np.testing.assert_allclose(found.bias, bias[[0, 1, 2]], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        found.features, (features.mean((1, 2)) * kernel[:, [0, 1, 2]].T).sum(1), rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(found.scores, np.asarray(model(images))[np.arange(3), [0, 1, 2]], rtol=1e-5, atol=1e-6)
    assert found.layer == "features" and not found.bypass.any()


def stepped(x):
    return keras.ops.where(x > 0.5, 2.0 * x, -0.25)


def stopped(x):
    return x + tf.stop_gradient(tf.sin(x))


def rounded(x):
    return x + tf.round(2 * x) + tf.sign(x)


def from_a_constant(x):
    return tf.math.squared_difference(x, 0.5) - tf.math.divide(1.0, 2.0 + tf.abs(x))


def of_two(x):
    return tf.math.pow(2.0 + tf.abs(x), 1.5) + tf.clip_by_value(x, -0.5, 0.5)


@pytest.mark.parametrize(
    "activation",
    [
        *("relu6", "silu", "gelu", "hard_swish", "mish", "elu", "sigmoid", "tanh", "softsign"),
        *(stepped, stopped, rounded, from_a_constant, of_two),
    ],
)
def test_what_an_activation_function_has_beside_its_slope_is_part_of_the_bias_term(activation):
    body = [
        L.Conv2D(6, 3, activation=activation),
        L.BatchNormalization(),
        L.DepthwiseConv2D(3, activation=activation),
        L.MaxPooling2D(),
        L.Conv2D(6, 3, activation=activation),
    ]
    model = classifier(*body)
    model.layers[0].set_weights([6 * weight for weight in model.layers[0].get_weights()])
    for one in every_layer(model, photographs(model)):
        assert one.relative_residuals.max() < 1e-5, str(one)
        assert not one.reasons


@pytest.mark.parametrize("join", [L.Add, L.Concatenate, L.Subtract, L.Average, L.Maximum])
def test_what_comes_around_a_layer_is_told_apart_from_the_bias_term(join):
    inputs = keras.Input((12, 12, 3))
    x = L.Conv2D(6, 3, padding="same", activation="relu", name="before")(inputs)
    inside = L.Conv2D(6, 3, padding="same", activation="relu", name="inside")(x)
    joined = L.Activation("relu", name="joined")(join()([x, inside]))
    outputs = L.Dense(4)(L.GlobalAveragePooling2D()(joined))
    model = with_random_weights(keras.Model(inputs, outputs))
    images = photographs(model)
    before, inside, after = verify_conservation(model, images, 1, ["before", "inside", "joined"])
    for one in (before, inside, after):
        assert one.relative_residuals.max() < 1e-5, str(one)
    assert np.abs(inside.bypass).min() > 1e-3
    assert not before.bypass.any() and not after.bypass.any()
    np.testing.assert_allclose(inside.bias, after.bias, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("targets", [None, 2, [0, 1]])
@pytest.mark.parametrize("activation", [None, "softmax"])
def test_how_the_class_was_chosen_is_no_reason(targets, activation):
    model = classifier(L.Conv2D(6, 3, activation="relu"), L.MaxPooling2D())
    if activation:
        model = keras.Sequential([model, L.Softmax()])
    images = photographs(model)
    chosen = np.asarray(model(images)).argmax(1) if targets is None else targets
    found, named = (verify_conservation(model, images, one, 0) for one in (targets, chosen))
    for one in (found, named):
        assert one.relative_residuals.max() < 1e-5 and not one.reasons
    np.testing.assert_allclose(found.bias, named.bias, rtol=1e-5, atol=1e-6)


class OfExtremes(L.Layer):
    """Adds to each image what it depends on by a choice alone: which class, how many cells, where the maximum is."""

    def call(self, x):
        flat = keras.ops.reshape(x, (-1, int(np.prod(x.shape[1:]))))
        place = keras.ops.cast(keras.ops.argmax(flat, axis=1), "float32")
        count = keras.ops.sum(keras.ops.cast(flat > 0, "float32"), axis=1)
        best = keras.ops.cast(keras.ops.top_k(flat, 2)[1][:, 1], "float32")
        return x * (1.0 + 1e-3 * (place + count + best))[:, None, None, None]


def test_choices_that_a_model_makes_of_its_activations_are_no_products_of_them():
    model = classifier(L.Conv2D(6, 3, activation="relu", name="features"), OfExtremes())
    found = verify_conservation(model, photographs(model), 1, "features")
    assert found.relative_residuals.max() < 1e-5 and not found.reasons


def gate():
    inputs = keras.Input((8, 8, 6))
    weights = L.Dense(6, activation="sigmoid")(L.GlobalAveragePooling2D(keepdims=True)(inputs))
    return keras.Model(inputs, L.Multiply()([inputs, weights]))


def attention():
    inputs = keras.Input((8, 8, 6))
    words = L.Reshape((64, 6))(inputs)
    return keras.Model(inputs, L.Reshape((8, 8, 6))(L.MultiHeadAttention(2, 4)(words, words)))


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (gate, "products of activations"),
        (lambda: L.LayerNormalization(), "statistics of each image"),
        (attention, "softmax"),
        (attention, "matrix products of activations"),
    ],
)
def test_where_it_cannot_hold_the_residual_is_told_with_its_reason(layer, reason):
    model = classifier(L.Conv2D(6, 5, activation="relu", name="features"), layer())
    found = verify_conservation(model, photographs(model), 1, "features")
    assert found.relative_residuals.min() > 1e-3
    assert any(reason in one for one in found.reasons)
    np.testing.assert_allclose(sum(found.reasons.values()), found.residuals, rtol=1e-3, atol=1e-5)
    assert reason in str(found)


def test_what_the_maps_of_xgrad_cam_lack_of_the_score_is_the_bias_term():
    model = classifier(L.Conv2D(6, 3, activation="relu", name="features"), L.Conv2D(5, 3, activation="relu"))
    images = photographs(model)
    maps = tfcam.XGradCAM(model, conv_layer="features", signed=True).explain(images, 2, resize=False).numpy()
    found = verify_conservation(model, images, 2, "features")
    np.testing.assert_allclose(found.scores - maps.sum((1, 2, 3)), found.bias, rtol=1e-4, atol=1e-6)


def test_the_embedded_model():
    scenes, labels, _ = make_scenes(4, seed=1)
    for one in every_layer(load_model(), scenes, labels):
        assert one.relative_residuals.max() < ROUNDING, str(one)


@pytest.mark.slow
def test_a_model_of_imagenet(assets):
    model = keras.models.load_model(assets / "models/mobilenet_v2_imagenet.keras")
    images = np.load(assets / "reference/peer_maps_8.npz")["images"][:2].astype("float32") / 127.5 - 1
    found = every_layer(model, images, None)
    worst = max(found, key=lambda one: one.relative_residuals.max())
    assert worst.relative_residuals.max() < ROUNDING, str(worst)


def test_a_padding_makes_an_operation_at_each_call_which_is_no_layer():
    model = classifier(L.ZeroPadding2D(name="padded"), L.Conv2D(6, 3, activation="relu", name="features"))
    assert [info.path for info in list_layers(model)] == ["padded", "features"]
    found = verify_conservation(model, photographs(model), 1, "padded")
    assert found.relative_residuals.max() < ROUNDING


def test_a_legacy_model_with_its_fused_normalisation():
    legacy = pytest.importorskip("tf_keras").layers
    body = [
        legacy.Conv2D(6, 3),
        legacy.BatchNormalization(),
        legacy.ReLU(),
        legacy.SeparableConv2D(5, 3),
        legacy.PReLU(),
    ]
    head = [legacy.GlobalAveragePooling2D(), legacy.Dense(4)]
    model = pytest.importorskip("tf_keras").Sequential([legacy.Input((12, 12, 3)), *body, *head])
    random = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(random.uniform(0.2, 1.5, weight.shape))
    for one in every_layer(model, photographs(model)):
        assert one.relative_residuals.max() < 1e-5, str(one)
        assert not one.reasons and np.abs(one.bias).min() > 0


def test_an_operator_of_the_users_and_several_batches():
    model = classifier(L.Conv2D(6, 3, activation="relu", name="features"), L.Conv2D(5, 3, activation="silu"))
    images = photographs(model, 5)

    def margin(model, inputs, targets):
        return 2.0 * model(inputs)[:, 1] - model(inputs)[:, 0] + 0.5

    found = verify_conservation(model, images, None, "features", batch_size=2, operator=margin)
    scores = model(images).numpy()
    np.testing.assert_allclose(found.scores, 2 * scores[:, 1] - scores[:, 0] + 0.5, rtol=1e-5, atol=1e-6)
    assert found.relative_residuals.max() < 1e-5 and found.classes is None
    assert verify_conservation(model, images, [0, 1, 2, 3, 0], "features").classes.tolist() == [0, 1, 2, 3, 0]


@keras.saving.register_keras_serializable()
class Compiled(L.Layer):
    """A layer that adds something within a tf.function of its own."""

    @tf.function
    def _add(self, x):
        return x + 3.0

    def call(self, x):
        return self._add(x)


def test_constants_that_a_function_hides_are_a_reason_of_unknown_size():
    model = classifier(L.Conv2D(6, 3, activation="relu", name="features"), Compiled())
    found = verify_conservation(model, photographs(model), 1, "features")
    assert found.relative_residuals.min() > 1e-3
    [(reason, values)] = found.reasons.items()
    assert "constants not seen" in reason and np.isnan(values).all()
    assert "constants not seen" in str(found) and "nan" not in str(found)


def test_an_operation_whose_constant_is_not_known_is_a_reason_of_unknown_size():
    product = L.Lambda(lambda x: tf.math.cumprod(1.0 + x, axis=-1))
    model = classifier(L.Conv2D(6, 3, activation="relu", name="features"), product)
    found = verify_conservation(model, photographs(model), 1, "features")
    assert found.relative_residuals.min() > 1e-3
    assert np.isnan(found.reasons["constants not seen in Cumprod"]).all()


def by_moments(x):
    mean, variance = tf.nn.moments(x, -1, keepdims=True)
    return (x - mean) * tf.math.rsqrt(variance)


def by_products(x):
    return x * tf.math.rsqrt(tf.expand_dims(tf.einsum("nhwc,nhwc->nhw", x, x), -1))


def by_maxima(x):
    return x / tf.maximum(tf.reduce_max(tf.abs(x), axis=-1, keepdims=True), 1e-3)


@pytest.mark.parametrize("normalised", [by_moments, by_products, by_maxima])
def test_statistics_of_each_image_are_reasons_and_no_bias(normalised):
    """Such a model has no bias: twice the activations have the same score, and the features owe nothing."""
    layers = [L.Conv2D(6, 3, use_bias=False, name="features"), L.Lambda(normalised), L.GlobalAveragePooling2D()]
    model = keras.Sequential([keras.Input((12, 12, 3)), *layers, L.Dense(4, use_bias=False)])
    found = verify_conservation(model, photographs(model), 1, "features")
    largest = np.abs(found.scores).max()
    assert np.abs(found.bias).max() < 1e-5 * largest and np.abs(found.features).max() < 1e-5 * largest
    np.testing.assert_allclose(sum(found.reasons.values()), found.scores, rtol=1e-4, atol=1e-5 * largest)
