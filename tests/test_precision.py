"""Half precision."""

import keras
import numpy as np

import tfcam

L = keras.layers


def test_gradients_too_small_for_float16_are_kept():
    keras.config.set_dtype_policy("mixed_float16")
    inputs = keras.Input((128, 128, 3))
    a = L.Conv2D(4, 3, padding="same", activation="relu")(inputs)
    pooled = L.GlobalAveragePooling2D()(a)
    model = keras.Model(inputs, L.Dense(2, kernel_initializer=keras.initializers.RandomNormal(stddev=1e-3))(pooled))
    images = np.random.default_rng(0).uniform(size=(2, 128, 128, 3)).astype("float32")
    model.layers[-1].kernel.assign(abs(model.layers[-1].kernel))
    activations = keras.Model(inputs, a)(images).numpy().astype("float32")
    expected = activations @ model.layers[-1].kernel.numpy()[:, 0] / 128**2
    raw = tfcam.GradCAM(model).explain(images, 0, resize=False).numpy()[..., 0]
    np.testing.assert_allclose(raw, expected, atol=5e-3 * expected.max())
