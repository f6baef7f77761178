"""Effective receptive fields, and maps whose cells are placed by them."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from dots import blurring, convolutions

import tfcam

L = keras.layers


def test_an_attention_is_placed_by_what_is_measured():
    inputs = keras.Input((64, 64, 1))
    x = L.Conv2D(4, 8, strides=8)(inputs)
    tokens = L.Reshape((64, 4))(x)
    tokens = L.Add()([tokens, 0.1 * L.Attention()([tokens, tokens])])
    x = L.Conv2D(4, 1, name="mixed")(L.Reshape((8, 8, 4))(tokens))
    model = keras.Model(inputs, L.Dense(2)(L.GlobalAveragePooling2D()(x)))
    images = np.random.default_rng(0).uniform(size=(4, 64, 64, 1)).astype("float32")
    explainer = tfcam.GradCAM(model)
    with pytest.raises(ValueError, match=r"mixed.*attention.*align='effective'"):
        explainer.explain(images, resize="aligned")
    [field] = explainer.effective_fields(images, samples=40)
    assert field.layer == "mixed" and field.stride == (8, 8) and field.moved is None
    np.testing.assert_allclose(field.centre, 3.5, atol=1.0)
    measured = explainer.explain(images, resize="aligned", align="effective")
    np.testing.assert_allclose(measured, explainer.explain(images), atol=0.2 * np.max(measured))


def one_sided(images):
    """A convolution that looks at the first of its pixels mostly, and where its gradient is, by hand."""
    kernel = np.array([4.0, 2.0, 1.0])
    model = blurring(L.Conv2D(1, 3, strides=2, padding="same", name="conv"), size=(32, 32))
    model.get_layer("conv").kernel.assign(np.outer(kernel, kernel)[..., None, None])
    energy = kernel**2 / (kernel**2).sum()
    middle = (energy * np.arange(3)).sum()
    return model, middle, np.sqrt((energy * (np.arange(3) - middle) ** 2).sum())


def test_the_effective_field_is_where_the_energy_of_the_gradient_is():
    images = np.random.default_rng(0).uniform(size=(3, 32, 32, 1)).astype("float32")
    model, middle, spread = one_sided(images)
    [field] = tfcam.GradCAM(model, conv_layer="conv").effective_fields(images)
    np.testing.assert_allclose(field.centre, middle, atol=1e-4)
    np.testing.assert_allclose(field.moved, middle - 1.0, atol=1e-4)
    np.testing.assert_allclose(field.spread, spread, atol=1e-4)
    np.testing.assert_allclose(field.error, 0.0, atol=1e-4)


def test_what_was_measured_places_cells_here_and_elsewhere():
    images = np.random.default_rng(0).uniform(size=(3, 32, 32, 1)).astype("float32")
    model, middle, _ = one_sided(images)
    explainer = tfcam.GradCAM(model, conv_layer="conv")
    expected = explainer.explain(images, 1, resize="aligned", align=(middle, 2))
    dataset = tf.data.Dataset.from_tensor_slices((images, [1, 1, 1])).batch(2)
    fields = explainer.effective_fields(images)
    for align in ("effective", fields, fields[0]):
        options = {"resize": "aligned", "align": align}
        np.testing.assert_allclose(explainer.explain(images, 1, **options), expected, atol=1e-3)
        mapped = tfcam.GradCAM(model, conv_layer="conv").map(dataset, **options)
        np.testing.assert_allclose(tf.concat([maps for *_, maps in mapped], 0), expected, atol=1e-3)
    compared = tfcam.compare(model, images, 1, ["grad-cam"], conv_layer="conv", resize="aligned", align="effective")
    np.testing.assert_allclose(compared["grad-cam"], expected, atol=1e-3)
    # Of another size, padded otherwise: moved as far from where arithmetic has it there.
    of_any = keras.Sequential([keras.Input((None, None, 1)), *model.layers[1:]])
    odd = np.random.default_rng(0).uniform(size=(3, 31, 31, 1)).astype("float32")
    there = tfcam.GradCAM(of_any, conv_layer="conv")
    moved = there.explain(odd, 1, resize="aligned", align=fields)
    np.testing.assert_allclose(moved, there.explain(odd, 1, resize="aligned", align=(middle - 1, 2)), atol=1e-3)


def test_a_field_that_lies_elsewhere_is_told():
    model = blurring(L.Conv2D(1, 15, padding="same", name="conv"), size=(32, 32))
    kernel = np.zeros((15, 15, 1, 1))
    kernel[0, 7] = 1.0
    model.get_layer("conv").kernel.assign(kernel)
    images = np.random.default_rng(0).uniform(size=(2, 32, 32, 1)).astype("float32")
    with pytest.warns(tfcam.ExplanationWarning, match="'conv' -7 and 0 pixels from the middle"):
        tfcam.GradCAM(model, conv_layer="conv").explain(images, 1, resize="aligned", align="effective")


def test_the_field_of_another_layer_is_refused():
    model = blurring(*convolutions(2), size=(32, 32))
    first, second = (layer.name for layer in model.layers[1:3])
    images = np.ones((1, 32, 32, 1), "float32")
    fields = tfcam.GradCAM(model, conv_layer=first).effective_fields(images)
    with pytest.raises(ValueError, match=f"has the fields of .*{first}.* and .*{second}.* is explained"):
        tfcam.GradCAM(model, conv_layer=second).explain(images, 1, resize="aligned", align=fields)


def test_fields_that_cannot_be_measured_say_so():
    explainer = tfcam.GradCAM(blurring(*convolutions(1), size=(16, 16)))
    with pytest.raises(ValueError, match="samples must be at least 1"):
        explainer.effective_fields(np.ones((1, 16, 16, 1), "float32"), samples=0)
    with pytest.raises(ValueError, match="has a gradient on these images"):
        explainer.effective_fields(-np.ones((1, 16, 16, 1), "float32"))
    words = keras.Sequential(
        [keras.Input((12,), dtype="int32"), L.Embedding(9, 4), L.Conv1D(4, 5), L.GlobalMaxPooling1D(), L.Dense(2)]
    )
    with pytest.raises(ValueError, match="this input has none, such as the words"):
        tfcam.GradCAM(words).effective_fields(np.ones((1, 12), "int32"))
