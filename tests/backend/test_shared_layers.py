"""Calls of a shared layer are numbered as they are written, whatever order Keras runs them in."""

import keras
import numpy as np
import pytest
from oracle import close

import tfcam


@pytest.fixture(params=["keras", "tf_keras"])
def package(request):
    return pytest.importorskip(request.param)


@pytest.fixture
def x():
    return np.random.default_rng(0).uniform(size=(2, 16, 12, 3)).astype("float32")


def leads(package):
    """Return a model that sees each channel through one network, the first one deepest."""
    layers = package.layers
    inputs = package.Input((16, 12, 3))
    conv = layers.Conv2D(4, 3, activation="relu", padding="same", name="conv")
    found = []
    for lead in range(3):
        one = layers.Lambda(lambda x, lead=lead: x[..., lead : lead + 1], name=f"lead{lead}")(inputs)
        for step in range(3 - lead):
            one = layers.Activation("linear", name=f"step{lead}{step}")(one)
        found.append(layers.GlobalAveragePooling2D()(conv(one)))
    outputs = layers.Dense(2, name="dense", kernel_initializer="ones")(layers.Concatenate()(found))
    return package.Model(inputs, outputs), conv


@pytest.mark.parametrize("lead", range(3))
def test_a_call_is_that_of_its_number(lead, package, x):
    model, conv = leads(package)
    raw = tfcam.GradCAM(model, conv_layer=f"conv@{lead}").explain(x, 0, resize=False).numpy()[..., 0]
    close(raw, np.asarray(conv(x[..., lead : lead + 1])).sum(axis=-1) / (16 * 12))


def test_the_calls_of_a_network_that_is_called_twice_follow_each_other(package, x):
    inner, conv = leads(package)
    layers = package.layers
    inputs = package.Input((16, 12, 3))
    doubled = layers.Lambda(lambda x: 2 * x)(inputs)
    body = package.Model(inner.input, inner.output, name="body")
    model = package.Model(
        inputs, layers.Dense(2, kernel_initializer="ones")(layers.Add()([body(inputs), body(doubled)]))
    )
    for call in range(6):
        explainer = tfcam.GradCAM(model, conv_layer=f"body/conv@{call}")
        raw = explainer.explain(x, 0, resize=False).numpy()[..., 0]
        activations = np.asarray(conv((1 + call // 3) * x[..., call % 3 : call % 3 + 1]))
        close(raw, 2 * activations.sum(axis=-1) / (16 * 12))


def test_the_levels_of_a_pyramid_are_numbered_as_they_are_joined():
    layers = keras.layers
    inputs = keras.Input((32, 32, 3))
    levels = [layers.Conv2D(4, 3, padding="same", activation="relu")(inputs)]
    for _ in range(3):
        levels.append(layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(levels[-1]))
    head = layers.Conv2D(5, 1, name="head")
    joined = layers.Concatenate(axis=1)([layers.Reshape((-1, 5))(head(level)) for level in levels])
    infos = tfcam.list_layers(keras.Model(inputs, joined))
    grids = {info.path: info.grid for info in infos if info.path.startswith("head")}
    assert grids == {f"head@{level}": (32 >> level, 32 >> level) for level in range(4)}


def test_a_subclassed_model_numbers_its_calls_as_it_makes_them(x):
    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.conv, self.dense = keras.layers.Conv2D(4, 3, name="conv"), keras.layers.Dense(2)
            self.pool = keras.layers.GlobalAveragePooling2D()

        def call(self, x):
            return self.dense(sum(self.pool(self.conv(x[..., lead : lead + 1])) for lead in (2, 0, 1)))

    explainer = tfcam.GradCAM(model := Model(), conv_layer="conv@0", signed=True)
    raw = explainer.explain(x, 0, resize=False).numpy()[..., 0]
    kernel = model.dense.kernel.numpy()[:, 0]
    close(raw, np.asarray(model.conv(x[..., 2:3])) @ kernel / (14 * 10))


def test_what_each_call_was_made_on_is_listed(package):
    model, _ = leads(package)
    told = {info.path: info.made_on for info in tfcam.list_layers(model)}
    assert [told[f"conv@{lead}"] for lead in range(3)] == [f"input[..., {lead}:{lead + 1}]" for lead in range(3)]
    assert {made_on for path, made_on in told.items() if not path.startswith("conv@")} == {""}


def test_slices_and_inputs_are_named():
    layers = keras.layers
    one, other = keras.Input((16, 12, 3)), keras.Input((16, 12, 1))
    conv, pool = layers.Conv2D(4, 3, padding="same", name="conv"), layers.GlobalAveragePooling2D()
    again = layers.Conv2D(1, 1, name="again")
    calls = [conv(one[..., 0:1]), conv(one[:, ::2, :, 2:]), conv(other), conv(again(conv(other)))]
    model = keras.Model([one, other], layers.Dense(2)(layers.Concatenate()([pool(call) for call in calls])))
    told = {info.path: info.made_on for info in tfcam.list_layers(model)}
    assert [told[f"conv@{call}"] for call in range(5)] == [
        "input 0[..., 0:1]",
        "input 0[:, ::2, :, 2:]",
        "input 1",
        "input 1",
        "again",
    ]
