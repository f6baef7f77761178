"""Deep Feature Factorization: what a layer sees in several images, as a few concepts."""

import keras
import numpy as np
import pytest

import tfcam
from tfcam.ops.nmf import nonnegative_factors

L = keras.layers


def test_factors_of_a_product_of_nonnegative_matrices_give_it_back():
    rng = np.random.default_rng(0)
    x = (rng.uniform(0, 1, (2, 40, 3)) * (rng.uniform(0, 1, (2, 40, 3)) > 0.6)) @ rng.uniform(0, 1, (2, 3, 7))
    h, w = nonnegative_factors(x.astype("float32"), 3, 500, 0)
    assert h.numpy().min() >= 0 and w.numpy().min() >= 0
    assert np.abs(h @ w - x).max() < 0.05 * x.max()


@pytest.fixture(scope="module")
def concepts():
    """Return the concepts of images of two patches, each of a colour, and the model that sees the colours."""
    inputs = keras.Input((12, 12, 3))
    colours = L.Conv2D(3, 1, activation="relu", use_bias=False, name="colours")
    dense = L.Dense(2)
    model = keras.Model(inputs, dense(L.GlobalAveragePooling2D()(colours(inputs))))
    colours.set_weights([np.eye(3).reshape(1, 1, 3, 3)])
    dense.set_weights([np.array([[1.0, 0], [0, 2.0], [0, 0]]), np.array([5.0, 5.0])])
    images = np.zeros((3, 12, 12, 3), "float32")
    images[:2, 1:5, 1:5, 0] = 1
    images[1:, 6:10, 6:10, 1] = 1
    method = tfcam.DeepFeatureFactorization(model, count=2)
    return method, images, method.concepts(images)


def test_a_concept_is_the_same_in_every_image_and_shown_where_it_is(concepts):
    _, images, found = concepts
    assert found.maps.shape == (3, 2, 12, 12, 1) and found.vectors.shape == (2, 3)
    red = int(np.argmax(found.vectors.numpy()[:, 0]))
    np.testing.assert_allclose(found.vectors.numpy()[[red, 1 - red]], [[1, 0, 0], [0, 1, 0]], atol=1e-3)
    np.testing.assert_allclose(found.maps[:, red, ..., 0], images[..., 0], atol=1e-3)
    np.testing.assert_allclose(found.maps[:, 1 - red, ..., 0], images[..., 1], atol=1e-3)


def test_a_concept_contributes_what_the_score_gains_from_it_alone(concepts):
    method, images, found = concepts
    red = int(np.argmax(found.vectors.numpy()[:, 0]))
    share = 16 / 144
    expected = np.zeros((3, 2, 2))
    expected[:2, red, 0], expected[1:, 1 - red, 1] = share, 2 * share
    np.testing.assert_allclose(found.contributions, expected, atol=1e-4)
    # Alone, an image with both objects has the same two concepts.
    maps = method.explain(images[1:2], 1).numpy()[..., 0]
    np.testing.assert_allclose(maps, images[1:2, ..., 1] * 2 * share, atol=1e-3)


def test_a_number_of_concepts_that_is_none_is_refused(model):
    with pytest.raises(ValueError, match="count=0 concepts are none"):
        tfcam.DeepFeatureFactorization(model, count=0)
