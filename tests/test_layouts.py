"""Channels first, channels last."""

import keras
import numpy as np
import pytest
from oracle import close

import tfcam

L = keras.layers


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
