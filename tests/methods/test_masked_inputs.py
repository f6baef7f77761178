"""Methods that look at masked images: what their masks are, what they have in common, and RISE without a layer."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from oracle import close
from small_models import FEWER

import tfcam

L = keras.layers


def dense(shape):
    return keras.Sequential([keras.Input(shape), L.Flatten(), L.Dense(4)])


# ---------------------------------------------------------------- masks made of feature maps


def test_methods_that_refine_score_cam_are_score_cam_where_there_is_nothing_to_refine(model, images):
    expected = tfcam.ScoreCAM(model).explain(images, 1).numpy()
    for same in (
        tfcam.FasterScoreCAM(model, channels=100),
        tfcam.SSCAM(model, level=0.0, samples=2),
        tfcam.ISCAM(model, steps=1),
    ):
        close(same.explain(images, 1), expected, 1e-5)


@pytest.mark.parametrize("baseline", [0.3, [0.1, -0.2, 0.4]])
@pytest.mark.parametrize("method", [tfcam.ScoreCAM, tfcam.GroupCAM, tfcam.RISE])
def test_a_baseline_is_seen_where_a_mask_is_0(method, baseline, model, images):
    inputs = keras.Input((16, 12, 3))
    brighter = keras.Model(inputs, model(inputs + tf.constant(baseline)))
    fewer = FEWER.get(method.name, {})
    expected = method(brighter, baseline=0, **fewer).explain(images - np.float32(baseline), 2).numpy()
    close(method(model, baseline=baseline, **fewer).explain(images, 2), expected, 1e-4)
    assert np.abs(expected - method(model, baseline=0, **fewer).explain(images, 2)).max() > 1e-2 * expected.max()


def test_a_baseline_is_the_mean_colour_or_what_a_function_gives(model, images):
    mean = images[:1].mean(axis=(1, 2))[0]
    expected = tfcam.ScoreCAM(model, baseline=mean).explain(images[:1], 2).numpy()
    for baseline in ("mean", lambda images: tf.reduce_mean(images, axis=[1, 2], keepdims=True)):
        close(tfcam.ScoreCAM(model, baseline=baseline).explain(images[:1], 2), expected, 1e-5)


def test_a_blurred_baseline_leaves_an_even_image_as_it_is(model):
    even = np.full((1, 16, 12, 3), 0.7, "float32")
    maps = tfcam.ScoreCAM(model, baseline="blur").explain(even, 1, resize=False).numpy()
    # Every mask shows the same, so that all channels have the same weight.
    activations = keras.Model(model.inputs[0], model.get_layer("second").output)(even).numpy()
    close(maps[..., 0], activations.mean(axis=-1))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda model: tfcam.ScoreCAM(model, baseline="gray"), "baseline='gray' is no number"),
        (lambda model: tfcam.ScoreCAM(model, baseline=[[0.0]]), r"baseline has the shape \(1, 1\)"),
        (lambda model: tfcam.ScoreCAM(model, baseline=np.nan), "one finite number"),
        (lambda model: tfcam.FasterScoreCAM(model, channels=0), "channels=0 keeps none"),
        (lambda model: tfcam.SSCAM(model, samples=0), "samples must be at least 1"),
        (lambda model: tfcam.ISCAM(model, steps=0), "steps=0 are none"),
        (lambda model: tfcam.GroupCAM(model, groups=0), "groups=0 are none"),
        (lambda model: tfcam.OptiCAM(model, rate=0.0), "rate above 0"),
        (lambda model: tfcam.RISE(model, probability=1.0), "probability between 0 and 1"),
    ],
)
def test_options_that_mean_nothing_are_refused(make, message, model):
    with pytest.raises(ValueError, match=message):
        make(model)


def test_a_baseline_has_a_number_for_each_channel(model, images):
    with pytest.raises(ValueError, match="baseline has 2 numbers, and the images 3 channels"):
        tfcam.ScoreCAM(model, baseline=[0.0, 1.0]).explain(images)


def test_opti_cam_climbs(model, images):
    def seen(steps):
        maps = tfcam.OptiCAM(model, steps=steps, rate=0.2).explain(images, 1).numpy()
        lowest, highest = (f(axis=(1, 2, 3), keepdims=True) for f in (maps.min, maps.max))
        masked = images * (maps - lowest) / (highest - lowest)
        logits = keras.Model(model.inputs[0], model.get_layer("hidden").output)(masked)
        return (logits @ model.layers[-1].kernel + model.layers[-1].bias).numpy()[:, 1]

    few, more, most = map(seen, (1, 10, 100))
    assert (more > few).all() and (most > more).all()


# ---------------------------------------------------------------- RISE


def test_what_rise_expects_of_a_linear_model_is_known(images):
    model = dense((16, 12, 3))
    kernel = model.layers[-1].kernel.numpy()[:, 2].reshape(16, 12, 3)
    explainer = tfcam.RISE(
        model, operator=lambda model, x, y: model(x)[:, 2], samples=40000, probability=0.3, cells=4, signed=True
    )
    found = explainer.explain(images[:2]).numpy()[..., 0]
    # L = cov(score, M) / p, and cov(M(a), M(b)) is p (1 - p) times the mean overlap of the cells of a and b.
    overlaps = []
    for size in (16, 12):
        step = -(-size // 4)
        cells = tf.image.resize(np.eye(4, dtype="float32")[..., None], [5 * step, 4], "bilinear").numpy()[..., 0]
        cut = [cells[first : first + size] for first in range(step)]
        overlaps.append(sum(one @ one.T for one in cut) / step)
    parts = (images[:2] * kernel).sum(axis=-1)
    expected = 0.7 * np.einsum("ya,xb,nab->nyx", *overlaps, parts)
    np.testing.assert_allclose(found, expected, atol=0.05 * np.abs(expected).max())


def test_rise_finds_the_only_place_that_matters():
    model = dense((32, 32, 1))
    kernel = np.zeros((32, 32, 4), "float32")
    kernel[5:9, 20:26, 1] = 1
    model.layers[-1].kernel.assign(kernel.reshape(-1, 4))
    maps = tfcam.RISE(model, samples=1000).explain(np.full((1, 32, 32, 1), 0.1), 1).numpy()[0, ..., 0]
    row, column = np.unravel_index(maps.argmax(), maps.shape)
    assert 4 <= row <= 9 and 19 <= column <= 26


@pytest.mark.parametrize(
    ("shape", "grid"), [((16, 12, 3), (16, 12)), ((28, 28), (28, 28)), ((9, 8, 7, 1), (9, 8, 7))], ids=str
)
def test_rise_needs_no_layer(shape, grid):
    x = np.random.default_rng(0).uniform(0, 1, (2, *shape)).astype("float32")
    explainer = tfcam.RISE(dense(shape), samples=200)
    maps = explainer.explain(x, 1)
    assert maps.shape == (2, *grid, 1) and np.max(maps) > 0
    assert explainer.conv_layer == "input"


def test_rise_says_where_there_is_nothing_to_mask():
    with pytest.raises(
        ValueError, match=r"No input of model .* has a grid to mask \(their shapes are \[\(None, 7\)\]\)"
    ):
        tfcam.RISE(keras.Sequential([keras.Input((7,)), L.Dense(3)]))


def test_rise_at_a_layer_is_rise(model, images):
    options = {"samples": 300}
    expected = tfcam.RISE(model, **options).explain(images, 1).numpy()
    close(tfcam.RISE(model, conv_layer="first", **options).explain(images, 1), expected, 1e-6)


def test_rise_draws_other_masks_with_another_seed_and_agrees_with_more(model, images):
    def maps(samples, seed):
        return tfcam.RISE(model, samples=samples, seed=seed, signed=True).explain(images, 1).numpy()

    def apart(one, other):
        return np.abs(one - other).mean() / np.abs(one).mean()

    assert apart(maps(2000, 0), maps(2000, 1)) < 0.5 * apart(maps(200, 0), maps(200, 1))


def test_rise_needs_no_place_of_the_models_last_tokens(images):
    """What was picked from tokens by their values lies nowhere, as the queries that a detector chooses do."""
    pixels = keras.Input((16, 12, 3))
    tokens = L.Reshape((12, 6))(L.Conv2D(6, 4, strides=4)(pixels))
    order = keras.ops.argsort(tokens[..., 0], axis=-1)[:, :6]
    picked = L.Dense(6, activation="relu")(keras.ops.take_along_axis(tokens, order[..., None], axis=1))
    model = keras.Model(pixels, L.Dense(3)(L.GlobalAveragePooling1D()(picked)))
    maps = tfcam.RISE(model, samples=20, signed=True).explain(images, 1).numpy()
    assert maps.shape == (5, 16, 12, 1) and np.abs(maps).max() > 0
