"""FullGrad: the input and the constants that the model adds tell all of the score. Guided Grad-CAM: edges there."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from oracle import close, same
from small_models import LABELS

import tfcam
from tfcam.graph.bias_terms import biases

L = keras.layers


class Told(tfcam.FullGrad):
    """What the input and all constants, those without a grid too, make of the score, beside the score."""

    def maps(self, run):
        run = run.here()
        scores = run.scores()
        found = biases([tf.nest.flatten(run.inputs)], scores, self.implicit)
        *gradients, of_source = run.gradients_of_inputs(scores, [bias.tensor for bias in found])
        parts = [of_source * run.source()]
        parts += [g * bias.constant for bias, g in zip(found, gradients, strict=True) if g is not None]
        told = tf.add_n([tf.reduce_sum(part, list(range(1, part.shape.rank))) for part in parts])
        return [tf.stack([told, run.scores()], axis=1)[:, None]]


def told(model, images, **options):
    return np.moveaxis(Told(model, signed=True, **options).explain(images, 1, resize=False).numpy()[:, 0, :, 0], 1, 0)


def classifier(*layers, shape=(16, 12, 3)):
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input(shape), *layers, L.Flatten(), L.Dense(4, bias_initializer="normal")])
    for layer in model.layers:
        if isinstance(layer, L.BatchNormalization):
            layer.set_weights([np.random.default_rng(0).uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
    return model


MODELS = {
    "ReLU": lambda: [L.Conv2D(5, 3, activation="relu", bias_initializer="normal"), L.MaxPooling2D()],
    "a normalisation": lambda: [L.Conv2D(5, 3, use_bias=False), L.BatchNormalization(), L.ReLU()],
    "a rescaling": lambda: [L.Rescaling(0.5, offset=-0.3), L.Conv2D(5, 3, activation="relu")],
    "ReLU6": lambda: [L.Rescaling(20.0), L.Conv2D(5, 3), L.ReLU(6.0)],
    "SiLU": lambda: [L.Conv2D(5, 3, activation="silu", bias_initializer="normal")],
    "GELU": lambda: [L.Conv2D(5, 3, activation="gelu", bias_initializer="normal")],
    "tanh": lambda: [L.Conv2D(5, 3, activation="tanh")],
}


@pytest.mark.parametrize("kind", MODELS)
def test_the_input_and_the_constants_make_up_all_of_the_score(kind, images):
    made_up, score = told(classifier(*MODELS[kind]()), images)
    assert np.abs(score).min() > 1e-3
    np.testing.assert_allclose(made_up, score, atol=2e-5 * np.abs(score).max())


def test_the_score_of_channels_that_are_gated_is_made_up_too(images):
    inputs = keras.Input((16, 12, 3))
    x = L.Conv2D(5, 3, activation="silu", bias_initializer="normal")(inputs)
    gates = L.Dense(5, activation="sigmoid", bias_initializer="normal")(L.GlobalAveragePooling2D(keepdims=True)(x))
    outputs = L.Dense(4, bias_initializer="normal")(L.GlobalAveragePooling2D()(L.Multiply()([x, gates])))
    made_up, score = told(keras.Model(inputs, outputs), images)
    np.testing.assert_allclose(made_up, score, atol=2e-5 * np.abs(score).max())


def test_the_score_of_an_attention_is_made_up_too(images):
    inputs = keras.Input((16, 12, 3))
    x = L.Reshape((192, 4))(L.Conv2D(4, 1, bias_initializer="normal")(inputs))
    x = L.LayerNormalization(beta_initializer="normal")(x + L.MultiHeadAttention(2, 3, bias_initializer="normal")(x, x))
    model = keras.Model(inputs, L.Dense(4)(L.GlobalAveragePooling1D()(L.Activation("gelu")(x))))
    made_up, score = told(model, images)
    np.testing.assert_allclose(made_up, score, atol=2e-5 * np.abs(score).max())


DEEP = [pytest.param(name, marks=pytest.mark.slow) for name in ("EfficientNetB0", "ResNet50")]


@pytest.mark.parametrize("name", ["MobileNetV2", *DEEP])
def test_the_score_of_a_large_model_is_made_up_too(name):
    model = getattr(keras.applications, name)(weights=None, input_shape=(64, 64, 3), classifier_activation=None)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, L.BatchNormalization):
            layer.moving_mean.assign(rng.normal(size=layer.moving_mean.shape) / 10)
            layer.beta.assign(rng.normal(size=layer.beta.shape) / 10)
    made_up, score = told(model, rng.uniform(-1, 1, (2, 64, 64, 3)).astype("float32"))
    np.testing.assert_allclose(made_up, score, atol=1e-4 * np.abs(score).max())


def test_without_the_constants_of_curved_functions_a_part_is_missing(images):
    made_up, score = told(classifier(*MODELS["SiLU"]()), images, implicit=False)
    assert np.abs(made_up - score).max() > 0.01 * np.abs(score).max()


def scaled(part):
    part = np.abs(part)
    lowest, highest = part.min(axis=(1, 2, 3), keepdims=True), part.max(axis=(1, 2, 3), keepdims=True)
    return ((part - lowest) / (highest - lowest)).sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("simple", [False, True])
def test_the_map_is_the_sum_over_the_input_and_each_layer_scaled_and_resized(images, simple):
    first, second = (L.Conv2D(4, 3, strides=n, padding="same", bias_initializer="normal") for n in (1, 2))
    model = classifier(first, L.ReLU(), second, L.ReLU())
    x = tf.constant(images)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        a = first(x)
        b = second(tf.nn.relu(a))
        score = tf.reduce_sum(model.layers[-1](tf.reshape(tf.nn.relu(b), (5, -1))) * np.eye(4)[LABELS])
    expected = scaled(images * tape.gradient(score, x).numpy())
    for layer, tensor in ((first, a), (second, b)):
        part = tape.gradient(score, tensor).numpy() * (1 if simple else layer.bias.numpy())
        expected += tf.image.resize(scaled(part), (16, 12), "bicubic").numpy().clip(0)
    close(tfcam.FullGrad(model, simple=simple).explain(images, LABELS), expected)


def test_full_grad_takes_all_layers_whichever_is_named(model, images):
    maps = tfcam.FullGrad(model).explain(images, LABELS).numpy()
    same(tfcam.FullGrad(model, conv_layer="first").explain(images, LABELS), maps)
    same(tfcam.FullGrad(model, conv_layer=["first", "second"]).explain(images, LABELS), maps)
    assert tfcam.FullGrad(model, smooth=tfcam.Noise(samples=2)).explain(images, LABELS).shape == maps.shape


@pytest.mark.onednn
def test_channels_first_and_legacy_keras_are_told_alike(images):
    first = keras.Sequential([keras.Input((3, 16, 12)), L.Conv2D(4, 1, data_format="channels_first"), L.ReLU()])
    model = keras.Sequential([first, L.Permute((2, 3, 1)), L.Flatten(), L.Dense(4)])
    first.layers[0].bias.assign([0.1, -0.2, 0.3, 0.4])
    twin = classifier(L.Conv2D(4, 1), L.ReLU())
    twin.set_weights(model.get_weights())
    maps = tfcam.FullGrad(model).explain(images.transpose(0, 3, 1, 2), LABELS)
    close(maps, tfcam.FullGrad(twin).explain(images, LABELS).numpy())


def test_a_normalisation_of_legacy_keras_is_told(images):
    tf_keras = pytest.importorskip("tf_keras")
    layers = tf_keras.layers
    model = tf_keras.Sequential(
        [
            tf_keras.Input((16, 12, 3)),
            layers.Conv2D(4, 3),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(4),
        ]
    )
    norm = model.layers[1]
    norm.set_weights([np.random.default_rng(0).uniform(0.5, 1.5, w.shape) for w in norm.get_weights()])
    made_up, score = told(model, images)
    np.testing.assert_allclose(made_up, score, atol=2e-5 * np.abs(score).max())


# ---------------------------------------------------------------- Guided Grad-CAM


def guided_by_hand(model, images):
    """Return the guided backpropagation of two convolutions with a ReLU and a Dense layer, layer by layer."""
    scale, first, second, flat, dense = model.layers
    x = tf.constant(images)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        a = first(scale(x))
        b = second(a)
        score = tf.reduce_sum(dense(flat(b)) * np.eye(4)[LABELS])
    through_b = tf.nn.relu(tape.gradient(score, b))
    through_a = tf.nn.relu(tape.gradient(b, a, output_gradients=through_b))
    return tape.gradient(a, x, output_gradients=through_a).numpy()


@pytest.mark.parametrize(("batch", "activation"), [(None, "relu"), (2, "relu"), (None, "relu6")])
def test_guided_grad_cam_is_grad_cam_times_guided_backpropagation(images, batch, activation):
    # So bright that units are cut off at 6 too.
    model = classifier(L.Rescaling(20.0), *(L.Conv2D(4, 3, activation=activation) for _ in range(2)))
    seen = keras.Model(model.inputs, [layer.output for layer in model.layers[1:3]])(images)
    assert all((0 < np.mean(one == 6) < 1) == (activation == "relu6") for one in seen)
    strength = np.abs(guided_by_hand(model, images)).max(axis=-1, keepdims=True)
    expected = tfcam.GradCAM(model).explain(images, LABELS).numpy() * strength
    close(tfcam.GuidedGradCAM(model, batch_size=batch).explain(images, LABELS), expected)
    close(tfcam.GuidedGradCAM(model).explain_classes(images, LABELS[:, None])[:, 0], expected)


def test_the_model_is_trained_by_its_own_gradients_while_guided_ones_are_around(images):
    model = classifier(L.Conv2D(4, 3, activation="relu"))

    def gradient():
        x = tf.constant(images)
        with tf.GradientTape() as tape:
            tape.watch(x)
            score = tf.reduce_sum(model(x)[:, 0])
        return tape.gradient(score, x).numpy()

    before = gradient()
    tfcam.GuidedGradCAM(model).explain(images, 0)
    np.testing.assert_array_equal(gradient(), before)


def test_a_model_without_relus_is_explained_with_a_warning(images):
    model = classifier(L.Conv2D(4, 3, activation="tanh"))
    with pytest.warns(tfcam.ExplanationWarning, match="no ReLU to guide the gradient through"):
        tfcam.GuidedGradCAM(model).explain(images, 0)


def test_words_have_no_gradient_to_guide(images):
    inputs = keras.Input((12,), dtype="int32")
    x = L.Conv1D(4, 3, activation="relu")(L.Embedding(9, 5)(inputs))
    model = keras.Model(inputs, L.Dense(3)(L.Flatten()(x)))
    words = np.arange(24).reshape(2, 12) % 9
    with pytest.raises(ValueError, match="goes back to the input, and the score has no gradient for this one"):
        tfcam.GuidedGradCAM(model).explain(words, 1)
    assert tfcam.GradCAM(model).explain(words, 1).shape == (2, 12, 1)


def test_of_several_classes_each_has_the_map_that_it_has_alone():
    inputs = keras.Input((12, 12, 2))
    x = keras.layers.Conv2D(3, 3, activation="relu", bias_initializer="ones")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(4)(keras.layers.GlobalAveragePooling2D()(x)))
    images = np.random.default_rng(0).uniform(size=(2, 12, 12, 2)).astype("float32")
    explainer = tfcam.FullGrad(model)
    maps = explainer.explain_classes(images, [2, 3])
    for place, label in enumerate((2, 3)):
        np.testing.assert_allclose(maps[:, place], explainer.explain(images, label), atol=1e-6)


class Normalisation(L.Layer):
    """A layer normalisation by its formula, whose mean has a gradient."""

    def call(self, x):
        centred = x - tf.reduce_mean(x, axis=-1, keepdims=True)
        variance = tf.reduce_mean(tf.math.square(centred), axis=-1, keepdims=True)
        return centred * tf.math.rsqrt(variance + 0.1)


class StoppedMean(Normalisation):
    """The same with the gradient of the mean stopped, as TensorFlow's moments do."""

    def call(self, x):
        mean = tf.reduce_mean(x, axis=-1, keepdims=True)
        variance = tf.reduce_mean(tf.math.squared_difference(x, tf.stop_gradient(mean)), axis=-1, keepdims=True)
        return (x - mean) * tf.math.rsqrt(variance + 0.1)


def test_a_mean_whose_gradient_is_stopped_is_no_bias(images):
    def parts_of(normalisation):
        keras.utils.set_random_seed(0)
        layers = [L.Conv2D(5, 3), normalisation(), L.Conv2D(4, 3), L.GlobalAveragePooling2D(), L.Dense(4)]
        return tfcam.FullGrad(keras.Sequential([keras.Input((16, 12, 3)), *layers])).explain(images, 1, resize=False)

    same(parts_of(StoppedMean), parts_of(Normalisation))


def test_a_network_without_constants_has_only_the_share_of_its_input(images):
    """Joins, sums and maxima of activations are no constants; with `simple`, one of zeros would count too."""
    inputs = keras.Input((16, 12, 3))
    one, other = (L.Conv2D(4, 3, activation="relu", use_bias=False)(inputs) for _ in range(2))
    x = L.Concatenate()([L.Add()([one, other]), L.Maximum()([one, other]), one])
    outputs = L.Dense(4, use_bias=False)(L.GlobalAveragePooling2D()(L.MaxPooling2D()(x)))
    model = keras.Model(inputs, outputs)
    maps = [tfcam.FullGrad(model, simple=simple).explain(images, 1) for simple in (False, True)]
    gradient = tf.GradientTape()
    with gradient:
        gradient.watch(x := tf.constant(images))
        score = model(x)[:, 1]
    same(maps[0], scaled(gradient.gradient(score, x) * x))
    same(maps[0], maps[1])


def grids_of_parts(model, images):
    """Return the grids of what Full-Grad draws of a model, without the input's own."""
    method = tfcam.FullGrad(model)
    [(batch, _)] = method.session.batches(images)
    targets = method.session.known.read([0] * len(images), len(images))
    shapes = method.session.compute(
        lambda run: [tf.shape(part) for part, _ in method.parts(run.here())], batch, targets
    )
    return {tuple(shape.numpy()[1:-1].tolist()) for shape in shapes[1:]}


def test_what_is_pooled_to_one_cell_is_drawn_evenly_and_the_heads_of_an_attention_are_not(images):
    inputs = keras.Input((16, 12, 3))
    x = L.Conv2D(6, 3, 2, padding="same", activation="relu")(inputs)
    gate = L.Dense(6, activation="sigmoid")(L.GlobalAveragePooling2D(keepdims=True)(x))
    tokens = L.Reshape((48, 6))(x)
    attended = L.MultiHeadAttention(2, 3)(tokens, tokens)
    both = [L.GlobalAveragePooling2D()(L.Multiply()([x, gate])), L.GlobalAveragePooling1D()(attended)]
    model = keras.Model(inputs, L.Dense(2)(L.Concatenate()(both)))
    for weight in model.weights:
        weight.assign(weight + 0.1)
    assert grids_of_parts(model, images) == {(8, 6), (1, 1)}
