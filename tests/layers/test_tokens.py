"""Tokens: which layer is explained, and how they lie on the image where the model does not tell."""

import re
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
import tensorflow as tf
from kinds_of_model import ROWS
from model_rows import chain, pixels
from model_rows_tokens import DIM, GRID, SHAPE, Block, Prefix, embedding

import tfcam

L = keras.layers
WITH_TOKENS = ("class_token", "class_token_and_registers", "tokens_pooled_with_class_token", "tokens_flattened")


class Reordered(L.Layer):
    """Take tokens in an order that is computed of them, and is the one they are in."""

    def call(self, x):
        order = tf.argsort(tf.cast(tf.range(x.shape[1]), "float32") + 0.0 * tf.nn.relu(-tf.abs(x[0, :, 0])))
        return tf.gather(x, order, axis=1)


class Fewer(Reordered):
    """Take the first tokens alone, in an order that is computed of them."""

    def call(self, x):
        return super().call(x)[:, :9]


def transformer(shape=SHAPE, patch=4, prefix=1, reordered=None, seed=0):
    """Return a transformer whose tokens are pooled; one that reorders them has the same weights."""
    keras.utils.set_random_seed(seed)
    count = shape[0] * shape[1] // patch**2
    order = [reordered(name="reordered")] if reordered else []
    body = [L.Conv2D(DIM, patch, strides=patch, name="patches"), L.Reshape((count, DIM)), Prefix(prefix, name="prefix")]
    norm = L.LayerNormalization(name="norm")
    inputs = keras.Input(shape)
    outputs = chain(*body, *order, Block(), norm, L.GlobalAveragePooling1D(), L.Dense(4))(inputs)
    return keras.Model(inputs, outputs, name="vit")


def same_weights(model, like):
    model.set_weights(like.get_weights())
    return model


@pytest.fixture(scope="module")
def by_class_token():
    """Return a transformer whose class token is read; its last block is made of layers that have names."""
    inputs = keras.Input(SHAPE)
    x = chain(*embedding(), Prefix(1), Block())(inputs)
    normed = L.LayerNormalization(name="norm1")(x)
    x = L.Add(name="add1")([x, L.MultiHeadAttention(2, 4, name="attention")(normed, normed)])
    x = L.LayerNormalization(name="norm")(x)
    return keras.Model(inputs, L.Dense(4)(x[:, 0]), name="vit")


def test_the_default_layer_is_the_last_whose_patches_have_a_gradient(by_class_token):
    assert tfcam.GradCAM(by_class_token).conv_layer == "norm1"
    layers = [by_class_token.get_layer(name).output for name in ("norm1", "norm")]
    watched = keras.Model(by_class_token.inputs, [*layers, *by_class_token.outputs])

    @tf.function
    def gradients(x):
        *tokens, scores = watched(x)
        return tf.gradients(scores[:, 0], tokens)

    before, after = (one.numpy()[:, 1:] for one in gradients(pixels(2, *SHAPE)))
    assert np.abs(before).max() > 0 and np.abs(after).max() == 0
    [default] = [info for info in tfcam.list_layers(by_class_token) if info.default]
    assert default.path == "norm1" and default.grid == GRID and "class token" in default.reason
    # Behind the first attention a token sees all others, its class token or not.
    [patches, *_] = tfcam.list_layers(by_class_token)
    assert patches.receptive_field == (4, 4) and default.receptive_field is None


@pytest.mark.parametrize("name", ["add1", "norm", "attention"])
def test_a_layer_of_which_the_class_token_alone_counts_is_refused(by_class_token, name):
    with pytest.raises(ValueError, match=f"conv_layer='{name}'.*class token alone.*no gradient at its patches.*norm1"):
        tfcam.GradCAM(by_class_token, conv_layer=name)
    assert name not in [info.path for info in tfcam.list_layers(by_class_token)]


@pytest.mark.filterwarnings("error::tfcam.ExplanationWarning")
def test_tokens_that_are_padded_and_cut_again_keep_their_places():
    keras.utils.set_random_seed(0)
    padded = [Prefix(1), L.ZeroPadding1D((0, 3), name="padded"), Block(), L.Cropping1D((0, 3))]
    inputs = keras.Input(SHAPE)
    outputs = chain(*embedding(), *padded, L.LayerNormalization(name="norm"), L.GlobalAveragePooling1D(), L.Dense(4))(
        inputs
    )
    model = keras.Model(inputs, outputs)
    for layer in ("padded", None):
        # A guess would be warned of.
        explainer = tfcam.GradCAM(model, conv_layer=layer)
        assert explainer.explain(pixels(2, *SHAPE), 1, resize=False).shape == (2, *GRID, 1)
    assert explainer.conv_layer == "norm"


@pytest.mark.parametrize(("shape", "grid"), [(SHAPE, GRID), ((16, 16, 3), (4, 4))])
def test_the_grid_of_the_patches_is_guessed_where_the_model_does_not_tell_and_said(shape, grid):
    model = transformer(shape, reordered=Reordered)
    told, images = same_weights(transformer(shape), model), pixels(3, *shape)
    said = f"taken for 1 in front of {grid[0]} x {grid[1]}: tokens=(1, {grid})"
    with pytest.warns(tfcam.ExplanationWarning, match=re.escape(said)):
        maps = tfcam.GradCAM(model).explain(images, 1)
    np.testing.assert_allclose(maps, tfcam.GradCAM(told).explain(images, 1), atol=1e-5)
    assert [info.grid for info in tfcam.list_layers(model) if info.default] == [grid]


def test_a_square_is_guessed_of_square_images_where_no_grid_of_patches_fits():
    with pytest.warns(tfcam.ExplanationWarning, match=r"its 9 tokens lie, and they are taken for 3 x 3"):
        tfcam.GradCAM(transformer((16, 16, 3), reordered=Fewer)).explain(pixels(2, 16, 16, 3), 1)


def test_tokens_that_are_said_are_taken_without_a_warning(recwarn):
    model = transformer(reordered=Reordered)
    told, images = same_weights(transformer(), model), pixels(3, *SHAPE)
    explainer = tfcam.GradCAM(model, tokens=(1, GRID))
    np.testing.assert_allclose(explainer.explain(images, 1), tfcam.GradCAM(told).explain(images, 1), atol=1e-5)
    assert explainer.conv_layer == "norm"
    [compared] = tfcam.compare(model, images, 1, ["grad-cam"], tokens=(1, GRID)).values()
    np.testing.assert_allclose(compared, explainer.explain(images, 1), atol=1e-5)
    assert not [one for one in recwarn if issubclass(one.category, tfcam.ExplanationWarning)]


def test_tokens_that_are_passed_over_are_warned_of():
    explainer = tfcam.GradCAM(transformer(reordered=Fewer))
    said = r"\(None, 9, 8\), lie is not known, since .*'vit\w*/reordered\w*/GatherV2' loses it.*tokens=\(prefix"
    with pytest.warns(tfcam.ExplanationWarning, match=said):
        explainer.explain(pixels(2, *SHAPE), 1)
    assert explainer.conv_layer == "prefix"


def test_a_class_token_in_front_of_lost_tokens_leaves_them_lost():
    keras.utils.set_random_seed(0)
    inputs = keras.Input(SHAPE)
    body = [*embedding(), Fewer(), Prefix(1), Block(), L.LayerNormalization(), L.GlobalAveragePooling1D(), L.Dense(4)]
    model = keras.Model(inputs, chain(*body)(inputs))
    with pytest.warns(tfcam.ExplanationWarning, match=r"\(None, 10, 8\), lie is not known, since"):
        tfcam.GradCAM(model).explain(pixels(2, *SHAPE), 1)


def test_tokens_of_two_grids_are_warned_of():
    keras.utils.set_random_seed(0)
    inputs = keras.Input(SHAPE)
    fine, coarse = (L.Reshape((-1, DIM))(L.Conv2D(DIM, size, strides=size)(inputs)) for size in (2, 4))
    x = chain(Block(), L.LayerNormalization())(L.Concatenate(axis=1)([fine, coarse]))
    model = keras.Model(inputs, L.Dense(4)(L.GlobalAveragePooling1D()(x)))
    with pytest.warns(tfcam.ExplanationWarning, match=r"\(None, 60, 8\), lie is not known, and"):
        tfcam.GradCAM(model).explain(pixels(2, *SHAPE), 1)


def test_a_named_layer_whose_tokens_are_not_told_asks_for_them():
    explainer = tfcam.GradCAM(transformer(reordered=Fewer), conv_layer="norm")
    with pytest.raises(ValueError, match=r"does not tell which axes.*tokens=\(prefix, \(rows, columns\)\)"):
        explainer.explain(pixels(2, *SHAPE), 1)


@pytest.mark.parametrize(
    ("tokens", "error", "message"),
    [
        (
            (1, (4, 4)),
            ValueError,
            r"tokens=\(1, \(4, 4\)\) are 17 tokens, and no layer of 'vit' has so many.* have 12, 13",
        ),
        ((1, (12,)), ValueError, "a grid of 1 axes, and no input of 'vit' has as many"),
        ((-1, GRID), ValueError, "a prefix of 0 or more"),
        (13, TypeError, r"must be \(prefix, grid\), such as \(1, \(14, 14\)\)"),
        ((1, 12), TypeError, r"must be \(prefix, grid\)"),
        ((1, (3.5, 4)), TypeError, r"must be \(prefix, grid\)"),
    ],
)
def test_tokens_that_do_not_fit_are_refused(tokens, error, message):
    with pytest.raises(error, match=message):
        tfcam.GradCAM(transformer(reordered=Reordered), tokens=tokens)


def test_a_layer_that_mixes_all_tokens_has_none():
    inputs = keras.Input(SHAPE)
    x = L.Permute((2, 1))(chain(*embedding())(inputs))
    x = L.Permute((2, 1), name="mixed")(L.Dense(6, activation="gelu")(x))
    model = keras.Model(inputs, L.Dense(4)(L.GlobalAveragePooling1D()(x)))
    with pytest.raises(ValueError, match=r"'mixed'.*has no spatial output.*none of the model's inputs has its grid"):
        tfcam.GradCAM(model, conv_layer="mixed")


@pytest.mark.parametrize("kind", WITH_TOKENS)
def test_every_way_to_explain_tokens_gives_the_same_maps(kind):
    row = ROWS[kind]()
    explainer, targets = tfcam.GradCAM(row.model, batch_size=2), np.array([0, 1, 2, 3, 1])
    maps = explainer.explain(row.inputs, targets)
    assert maps.shape == (5, *SHAPE[:2], 1) and np.isfinite(maps).all() and maps.numpy().max() > 0
    dataset = tf.data.Dataset.from_tensor_slices((row.inputs, targets)).batch(2)
    ways = {
        "dataset": explainer.explain(dataset),
        "stream": tf.concat([heatmaps for _, _, heatmaps in explainer.stream(dataset)], 0),
        "map": tf.concat([heatmaps for _, _, heatmaps in explainer.map(dataset)], 0),
        "compare": tfcam.compare(row.model, row.inputs, targets, ["grad-cam"])["grad-cam"],
        "several classes": explainer.explain_classes(row.inputs, targets[:, None])[:, 0],
    }
    for way, found in ways.items():
        np.testing.assert_allclose(found, maps, atol=1e-5 * maps.numpy().max(), err_msg=way)


@pytest.mark.parametrize("method", ["xgrad-cam", "layer-cam", "ablation-cam", "lift-cam", "fem", "grad-cam-plus-plus"])
def test_a_method_that_takes_activations_for_amounts_says_what_a_layer_norm_does_to_it(by_class_token, method):
    with pytest.warns(
        tfcam.ExplanationWarning, match="partly negative.*behind a layer norm sum to about zero.*HiResCAM"
    ):
        tfcam.get_method(method)(by_class_token).explain(pixels(2, *SHAPE), 1)


@pytest.mark.parametrize("kind", WITH_TOKENS)
def test_every_method_explains_tokens(kind):
    row = ROWS[kind]()
    fewer = {"rise": {"samples": 8}, "ss-cam": {"samples": 2}, "is-cam": {"steps": 2}, "opti-cam": {"steps": 2}}
    names = [name for name, method in tfcam.METHODS.items() if not method.needs]
    methods = [tfcam.METHODS[name](row.model, **fewer.get(name, {})) for name in names]
    with np.errstate(all="raise"):
        found = tfcam.compare(row.model, row.inputs, 1, methods)
    for name, maps in found.items():
        assert maps.shape == (5, *SHAPE[:2], 1) and np.isfinite(maps).all(), name


class OfAnySize(keras.Model):
    """A transformer without embeddings of places, for images of any size."""

    def __init__(self, block, norm, classify, patches):
        super().__init__()
        self.block, self.norm, self.classify, self.patches = block, norm, classify, patches
        self.parts = [*vars(block).values()]

    def call(self, images):
        x = self.patches(images)
        x = keras.ops.reshape(x, (keras.ops.shape(x)[0], -1, DIM))
        return self.classify(keras.ops.mean(self.norm(self.block(x)), axis=1))


@pytest.mark.parametrize("kind", ["functional", "subclassed"])
def test_tokens_of_images_of_any_size_lie_where_they_do_for_each_size(kind):
    patches, block, norm, classify = L.Conv2D(DIM, 4, strides=4), Block(), L.LayerNormalization(name="norm"), L.Dense(4)

    def of_size(height, width):
        inputs = keras.Input((height, width, 3))
        x = L.Reshape((-1, DIM))(patches(inputs))
        return keras.Model(inputs, classify(L.GlobalAveragePooling1D()(norm(block(x)))))

    model = of_size(None, None) if kind == "functional" else OfAnySize(block, norm, classify, patches)
    explainer = tfcam.GradCAM(model)
    # As many tokens, 4 x 3 and 3 x 4; and others.
    for height, width in ((16, 12), (12, 16), (20, 8), (16, 12)):
        images = pixels(2, height, width, 3)
        expected = tfcam.GradCAM(of_size(height, width)).explain(images, 1)
        np.testing.assert_allclose(explainer.explain(images, 1), expected, atol=1e-5)
        assert explainer.conv_layer == "norm"
    with pytest.raises(ValueError, match=r"how many tokens .* needs one batch"):
        tfcam.list_layers(of_size(None, None))
    assert [info.grid for info in tfcam.list_layers(of_size(None, None), images) if info.default] == [(4, 3)]


def test_threads_that_explain_tokens_of_several_sizes_at_once_get_what_each_gets_alone():
    patches, norm, classify = L.Conv2D(DIM, 4, strides=4), L.LayerNormalization(name="norm"), L.Dense(4)
    explainer = tfcam.GradCAM(OfAnySize(Block(), norm, classify, patches), batch_size=1, absolute=True)
    images = [pixels(8, height, width, 3) for height, width in ((16, 12), (12, 16), (8, 24))]
    alone = [explainer.explain(one, 1).numpy() for one in images]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda one: explainer.explain(one, 1).numpy(), images * 5))
    for maps, expected in zip(together, alone * 5, strict=True):
        np.testing.assert_allclose(maps, expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["tokens_pooled_with_class_token", "tokens_flattened"])
def test_a_class_token_is_a_way_around_the_patches(kind):
    row = ROWS[kind]()
    found = tfcam.verify_conservation(row.model, row.inputs, 1)
    if kind == "tokens_pooled_with_class_token":
        assert found.relative_residuals.max() < 1e-5 and np.abs(found.bypass).min() > 0
    else:
        assert np.abs(found.bypass).max() == 0


def test_tokens_behind_none_in_front_are_the_grid_of_patches():
    """Where a model may have registers, and has none, it puts nothing in front of its patches."""

    class NoRegisters(L.Layer):
        def call(self, x):
            registers = keras.ops.zeros((keras.ops.shape(x)[0], 0, DIM))
            return keras.ops.concatenate([registers, x], axis=1)

    inputs = keras.Input(SHAPE)
    outputs = chain(*embedding(), NoRegisters(), Block(), L.GlobalAveragePooling1D(), L.Dense(4))(inputs)
    [default] = [info for info in tfcam.list_layers(keras.Model(inputs, outputs)) if info.default]
    assert default.grid == GRID
