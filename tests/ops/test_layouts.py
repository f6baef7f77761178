"""Channels first, channels last."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from oracle import close

import tfcam

L = keras.layers


@pytest.mark.onednn
@pytest.mark.parametrize("here", ["channels_first", "channels_last"])
def test_the_grid_after_a_channels_first_convolution_is_read_right(here):
    inputs = keras.Input((3, 16, 12))
    a = L.Conv2D(4, 3, 2, padding="same", data_format="channels_first", name="conv")(inputs)
    a = L.BatchNormalization(axis=1)(a)
    a = L.ReLU(name="act")(a)
    model = keras.Model(inputs, L.Dense(3)(L.GlobalAveragePooling2D(data_format="channels_first")(a)))
    model.layers[-1].kernel.assign(abs(model.layers[-1].kernel))
    keras.config.set_image_data_format(here)
    try:
        images = np.random.default_rng(0).uniform(-1, 1, (2, 3, 16, 12)).astype("float32")
        explainer = tfcam.GradCAM(model)
        assert explainer.conv_layer == "act"
        assert [info.grid for info in tfcam.list_layers(model)] == [(8, 6)] * 3
        raw = explainer.explain(images, 1, resize=False)
        activations = keras.Model(inputs, a)(images).numpy().transpose(0, 2, 3, 1)
        close(raw[..., 0], np.maximum(activations @ model.layers[-1].kernel.numpy()[:, 1], 0) / 48)
        assert explainer.explain(images, 1).shape == (2, 16, 12, 1)
    finally:
        keras.config.set_image_data_format("channels_last")


KINDS = ["relu", "normalised", "added", "nested", "convolution"]


def channels_first(package, kind, global_format=False):
    """Return a channels-first model whose default layer has no data format of its own, but for the last kind."""
    layers = package.layers
    how = {} if global_format else {"data_format": "channels_first"}
    inputs = package.Input((3, 16, 12))
    conv = layers.Conv2D(4, 3, 2, padding="same", name="conv", **how)
    if kind == "nested":
        inner = package.Input((3, 16, 12))
        a = package.Model(inner, layers.ReLU()(conv(inner)), name="body")(inputs)
    else:
        a = conv(inputs)
        a = {
            "relu": lambda a: layers.ReLU()(a),
            "normalised": lambda a: layers.BatchNormalization(axis=1)(a),
            "added": lambda a: layers.Add()([a, layers.ReLU()(a)]),
            "convolution": lambda a: a,
        }[kind](a)
    return package.Model(inputs, layers.Dense(3, kernel_initializer="ones")(layers.GlobalAveragePooling2D(**how)(a)))


def check(model, package):
    """Assert the map of the last spatial activation against its closed form, in the grid of the images."""
    images = np.random.default_rng(0).uniform(-1, 1, (2, 3, 16, 12)).astype("float32")
    activations = np.asarray(package.Model(model.inputs, model.layers[-2].input)(images)).transpose(0, 2, 3, 1)
    expected = np.maximum(activations @ model.layers[-1].get_weights()[0][:, 1:2], 0) / 48
    resized = np.maximum(tf.image.resize(expected, (16, 12), "bicubic"), 0)
    close(tfcam.GradCAM(model).explain(images, 1), resized)
    assert {info.grid for info in tfcam.list_layers(model)} == {(8, 6)}


@pytest.fixture(params=["keras", "tf_keras"])
def package(request):
    package = pytest.importorskip(request.param)
    yield package
    package.backend.set_image_data_format("channels_last")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.onednn
@pytest.mark.parametrize("here", ["channels_first", "channels_last"])
def test_a_layer_without_a_data_format_has_that_of_what_it_was_computed_from(package, kind, here):
    model = channels_first(package, kind)
    package.backend.set_image_data_format(here)
    check(model, package)


@pytest.mark.onednn
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_a_model_saved_under_another_default_keeps_its_layout(package, kind, ending, tmp_path):
    package.backend.set_image_data_format("channels_first")
    channels_first(package, kind, global_format=True).save(tmp_path / f"model{ending}")
    package.backend.set_image_data_format("channels_last")
    check(package.models.load_model(tmp_path / f"model{ending}"), package)


def test_a_channels_last_model_keeps_its_layout_under_the_other_default(package, tmp_path):
    layers = package.layers
    inputs = package.Input((16, 12, 3))
    a = layers.ReLU()(layers.Conv2D(4, 3, 2, padding="same")(inputs))
    package.Model(inputs, layers.Dense(3, kernel_initializer="ones")(layers.GlobalAveragePooling2D()(a))).save(
        tmp_path / "model.keras"
    )
    package.backend.set_image_data_format("channels_first")
    model = package.models.load_model(tmp_path / "model.keras")
    images = np.random.default_rng(0).uniform(-1, 1, (2, 16, 12, 3)).astype("float32")
    raw = tfcam.GradCAM(model).explain(images, 1, resize=False)
    activations = np.asarray(package.Model(model.inputs, model.layers[-2].input)(images))
    close(raw[..., 0], np.maximum(activations @ model.layers[-1].get_weights()[0][:, 1], 0) / 48)


def test_an_input_whose_channels_the_model_moves_first_has_its_own_layout():
    inputs = keras.Input((3, 16, 20))
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(keras.layers.Permute((2, 3, 1))(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(x)))
    images = np.random.default_rng(0).uniform(size=(2, 3, 16, 20)).astype("float32")
    maps = tfcam.GradCAM(model).explain(images, 0)
    turned = keras.Sequential([keras.Input((16, 20, 3)), *model.layers[2:]])
    np.testing.assert_allclose(maps, tfcam.GradCAM(turned).explain(images.transpose(0, 2, 3, 1), 0), atol=1e-6)
