"""Half precision: gradients that float16 cannot hold are kept, image by image."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfcam

L = keras.layers


@pytest.fixture
def images():
    return np.random.default_rng(0).uniform(size=(2, 128, 128, 3)).astype("float32")


def pooled_model(kernel, conv_dtype="mixed_float16"):
    """Return a half-precision model whose gradient at each cell is the kernel over 128 x 128, and its activations."""
    keras.config.set_dtype_policy("mixed_float16")
    inputs = keras.Input((128, 128, 3))
    activations = L.Conv2D(4, 3, padding="same", activation="relu", dtype=conv_dtype)(inputs)
    initializer = keras.initializers.RandomUniform(0.5 * kernel, kernel)
    outputs = L.Dense(2, kernel_initializer=initializer)(L.GlobalAveragePooling2D()(activations))
    return keras.Model(inputs, outputs), keras.Model(inputs, activations)


def check(maps, expected):
    assert (expected.max(axis=(1, 2)) > 0).all()
    error = np.abs(maps - expected).max(axis=(1, 2))
    assert (error <= 5e-3 * expected.max(axis=(1, 2))).all()


@pytest.mark.parametrize("conv_dtype", ["mixed_float16", "float32"])
@pytest.mark.parametrize("kernel", [1e-5, 1e-3, 1.0, 20.0, 1000.0])
def test_gradients_too_small_or_too_large_for_float16_are_kept(images, kernel, conv_dtype):
    model, body = pooled_model(kernel, conv_dtype)
    expected = body(images).numpy().astype("float32") @ model.layers[-1].kernel.numpy()[:, 0] / 128**2
    check(tfcam.GradCAM(model).explain(images, 0, resize=False).numpy()[..., 0], expected)
    several = tfcam.XGradCAM(model).explain_classes(images, [1, 0], resize=False).numpy()[:, 1, ..., 0]
    check(several, expected)


def test_each_image_has_the_precision_it_has_alone(images):
    model, body = pooled_model(1.0)
    factors = np.array([1e3, 1e-4], "float32")
    explainer = tfcam.GradCAM(model, operator=lambda m, x, y: tf.cast(m(x)[:, 0], tf.float32) * y)
    together = explainer.explain(images, factors, resize=False).numpy()[..., 0]
    expected = body(images).numpy().astype("float32") @ model.layers[-1].kernel.numpy()[:, 0] / 128**2
    check(together, expected * factors[:, None, None])
    for i in range(2):
        alone = explainer.explain(images[i : i + 1], factors[i : i + 1], resize=False)[..., 0]
        np.testing.assert_allclose(alone[0], together[i], rtol=1e-3)


def test_an_image_whose_activations_overflow_is_said_to(images):
    model, _ = pooled_model(1.0)
    # Of one sign: infinities that cancel are NaN, of which the fused relu of some processors makes zeros.
    model.layers[1].kernel.assign(np.full((3, 3, 3, 4), 0.1, "float32"))
    with pytest.warns(tfcam.ExplanationWarning, match="NaN or infinite"):
        tfcam.GradCAM(model).explain(images * np.array([1.0, 1e6], "float32")[:, None, None, None], 0)
