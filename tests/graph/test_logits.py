"""Logits are explained wherever a model has them, and where it has none a warning says so."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from family_methods import MeanActivation
from model_rows import chain
from oracle import close, same
from small_models import LABELS

import tfcam

L = keras.layers


def body():
    return [L.Conv2D(6, 3, activation="relu"), L.GlobalAveragePooling2D()]


def rows():
    """Return layers that give the rows of the grid, as a sequence."""
    return [L.Conv2D(6, 3, activation="relu"), L.Reshape((14, 60))]


def images_model(layers, shape=(16, 12, 3)):
    return keras.Sequential([keras.Input(shape), *layers])


def of_inputs(make):
    """Return the model of a function of the pooled features."""
    inputs = keras.Input((16, 12, 3))
    return keras.Model(inputs, make(chain(*body())(inputs)))


WITH_LOGITS = {
    "softmax of softmax": (
        lambda: images_model([*body(), L.Dense(4, activation="softmax"), L.Softmax()]),
        lambda: images_model([*body(), L.Dense(4)]),
    ),
    "sigmoids beside a softmax": (
        lambda: of_inputs(
            lambda x: L.Concatenate()([L.Dense(2, activation="sigmoid")(x), L.Dense(2, activation="softmax")(x)])
        ),
        lambda: of_inputs(lambda x: L.Concatenate()([L.Dense(2)(x), L.Dense(2)(x)])),
    ),
    "logarithm of a softmax": (
        lambda: images_model([*body(), L.Dense(4, activation="log_softmax")]),
        lambda: images_model([*body(), L.Dense(4)]),
    ),
    "softmax over another axis": (
        lambda: images_model([*body(), L.Dense(4), L.Reshape((4, 1)), L.Softmax(axis=1), L.Reshape((4,))]),
        lambda: images_model([*body(), L.Dense(4)]),
    ),
    "step by step": (
        lambda: images_model([*rows(), L.TimeDistributed(L.Dense(4, activation="softmax"))]),
        lambda: images_model([*rows(), L.TimeDistributed(L.Dense(4))]),
    ),
}


@pytest.mark.parametrize("case", WITH_LOGITS)
def test_the_map_is_that_of_the_model_without_its_activation(images, case):
    activated, linear = (make() for make in WITH_LOGITS[case])
    linear.set_weights(activated.get_weights())
    with warnings.catch_warnings():
        warnings.simplefilter("error", tfcam.ExplanationWarning)
        maps = tfcam.GradCAM(activated).explain(images, LABELS)
    same(maps, tfcam.GradCAM(linear).explain(images, LABELS))


def two_heads(activation):
    inputs = keras.Input((16, 12, 3))
    features = chain(*body())(inputs)
    heads = [L.Dense(4, activation=activation, name="kind")(features), L.Dense(1, name="age")(features)]
    return keras.Model(inputs, heads)


@pytest.mark.parametrize("method", [tfcam.ShapleyCAM, tfcam.OptiCAM])
@pytest.mark.parametrize("case", ["sigmoids beside a softmax", "softmax over another axis"])
def test_derivatives_of_every_kind_go_through_what_follows_the_logits(images, case, method):
    """One takes derivatives forwards, the other with a tape of its own."""
    model, without = (make() for make in WITH_LOGITS[case])
    without.set_weights(model.get_weights())
    expected = method(without).explain(images, LABELS, resize=False).numpy()
    assert expected.max() > 0
    same(method(model).explain(images, LABELS, resize=False).numpy(), expected)


@pytest.mark.parametrize("which", ["kind", 3])
def test_of_several_outputs_the_logits_of_the_one_named_are_explained(images, which):
    model, linear = two_heads("softmax"), two_heads(None)
    linear.set_weights(model.get_weights())
    expected = tfcam.GradCAM(linear, output_layer="kind").explain(images, LABELS)
    explainer = tfcam.GradCAM(model, output_layer=which)
    same(explainer.explain(images, LABELS), expected)
    _, classes = explainer.explain_top(images, 4)
    np.testing.assert_array_equal(classes[:, 0], np.argmax(model(images)[0], axis=-1))


def test_a_head_with_a_grid_is_not_explained_at_its_own_logits(images):
    inputs = keras.Input((16, 12, 3))
    features = L.Conv2D(6, 3, padding="same", activation="relu", name="features")(inputs)
    masks = L.Softmax(name="masks")(L.Conv2D(4, 1, name="logits")(features))
    model = keras.Model(inputs, [masks, L.Dense(2)(L.GlobalAveragePooling2D()(features))])
    assert tfcam.GradCAM(model, output_layer="masks").conv_layer == "features"


WITHOUT_LOGITS = {
    "an ensemble": lambda x: L.Average()([L.Dense(4, activation="softmax")(x) for _ in range(2)]),
    "clipped": lambda x: keras.ops.clip(L.Dense(4, activation="softmax")(x), 1e-7, 1 - 1e-7),
    "cut off where they never are": lambda x: keras.ops.minimum(L.Dense(4, activation="softmax")(x), 2.0),
    "smoothed": lambda x: L.Dense(4, activation="softmax")(x) * 0.9 + 0.025,
    "hard sigmoid": lambda x: L.Dense(4, activation="hard_sigmoid")(x),
    "cut off at both ends": lambda x: keras.ops.relu(keras.ops.minimum(L.Dense(4)(x), 1.0)),
    "a slice of more": lambda x: L.Dense(5, activation="softmax")(x)[:, :4],
    "the larger of two": lambda x: L.Maximum()([L.Dense(4, activation="softmax")(x) for _ in range(2)]),
    "one minus a probability": lambda x: 1.0 - L.Dense(4, activation="softmax")(x),
    "normalised by hand": lambda x: (e := keras.ops.exp(L.Dense(4)(x))) / keras.ops.sum(e, -1, keepdims=True),
}


def test_that_logits_are_explained_is_logged_once(model, images, caplog):
    explainer = tfcam.GradCAM(model)
    with caplog.at_level("INFO", logger="tfcam"):
        explainer.explain(images, LABELS)
        explainer.explain(images[:2], LABELS[:2])
    assert [record.message for record in caplog.records] == [
        "Explaining the logits of model 'small'; output_layer=-1 explains its last layer."
    ]


@pytest.mark.parametrize("case", WITHOUT_LOGITS)
def test_probabilities_without_logits_are_explained_as_they_are_and_a_warning_says_so_once(images, case):
    model = of_inputs(WITHOUT_LOGITS[case])
    explainer = tfcam.GradCAM(model)
    with pytest.warns(
        tfcam.ExplanationWarning, match="holds probabilities.*end the model in a plain softmax"
    ) as caught:
        maps = explainer.explain(images, LABELS)
        explainer.explain(images, LABELS)
    assert len(caught) == 1
    own = tfcam.GradCAM(model, operator=lambda model, x, y: tf.gather(model(x), y, batch_dims=1))
    close(maps, own.explain(images, LABELS))


class InALoop(keras.Model):
    def __init__(self):
        super().__init__()
        self.conv, self.pool, self.dense = *body(), L.Dense(4)

    def call(self, inputs):
        return tf.map_fn(tf.nn.softmax, self.dense(self.pool(self.conv(inputs))))


def test_probabilities_that_a_loop_gives_are_told_too(images):
    model = InALoop()
    with pytest.warns(tfcam.ExplanationWarning, match="holds probabilities"):
        tfcam.GradCAM(model).explain(images, LABELS)


def test_a_softmax_layer_that_is_named_is_explained_with_a_warning(model, images):
    with pytest.warns(
        tfcam.ExplanationWarning, match="holds probabilities.*leave output_layer= off, or name the layer"
    ):
        tfcam.GradCAM(model, output_layer="scores").explain(images, LABELS)


QUIET = {
    "linear": (lambda x: L.Dense(4)(x), None),
    "tanh": (lambda x: L.Dense(4, activation="tanh")(x), None),
    "softmax": (lambda x: L.Dense(4, activation="softmax")(x), None),
    "an operator that takes the logarithm": (
        lambda x: L.Average()([L.Dense(4, activation="softmax")(x) for _ in range(2)]),
        lambda model, x, y: tf.math.log(model(x)[:, 0]),
    ),
}


@pytest.mark.parametrize("case", QUIET)
def test_nothing_is_said_where_logits_are_explained_or_an_operator_knows_better(images, case):
    make, operator = QUIET[case]
    with warnings.catch_warnings():
        warnings.simplefilter("error", tfcam.ExplanationWarning)
        tfcam.GradCAM(of_inputs(make), operator=operator).explain(images, LABELS)


def test_a_method_without_gradients_has_nothing_to_say_of_them(images):
    with warnings.catch_warnings():
        warnings.simplefilter("error", tfcam.ExplanationWarning)
        MeanActivation(of_inputs(WITHOUT_LOGITS["an ensemble"])).explain(images, LABELS)
