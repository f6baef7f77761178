"""Methods of attentions: against loops over what the layers themselves tell, in closed form, and where they end."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from attention_models import DIM, GRID, SHAPE, Transformer
from model_rows_windows import swin
from oracle_attentions import ATTENTION_ORACLES, vit_recipro_cam

import tfcam

L = keras.layers
READ = ("token", "mean", "pool")


@pytest.fixture(scope="module", params=READ)
def recorded(request):
    """Return a transformer, and its attentions as its layers tell them."""
    transformer = Transformer(request.param)
    return transformer, transformer.slow(transformer.images, transformer.labels)


@pytest.mark.parametrize("name", ATTENTION_ORACLES)
def test_a_method_of_attentions_equals_its_loops(name, recorded):
    transformer, (probabilities, gradients, of_blocks) = recorded
    tables = probabilities
    if name == "agcam":
        tables = transformer.logits(transformer.images)
    if name == "grad-eclip":
        tables = transformer.compared(transformer.images)[-1]
    expected = ATTENTION_ORACLES[name](tables, gradients, of_blocks, transformer.read)[:, transformer.prefix :]
    explainer = tfcam.METHODS[name](transformer.model)
    maps = explainer.explain(transformer.images, transformer.labels, resize=False).numpy()
    assert maps.shape == (3, *GRID, 1)
    np.testing.assert_allclose(maps.reshape(3, -1), expected, atol=1e-5 * expected.max())


@pytest.mark.parametrize("read", READ)
def test_the_last_block_sees_one_patch_alone(read):
    transformer = Transformer(read)
    explainer = tfcam.ViTReciproCAM(transformer.model)
    # The attention of a pooling is the last one: no block comes behind its tokens.
    blocks = 0 if read == "pool" else 1
    assert transformer.model.get_layer(explainer.conv_layer).output is transformer.ends[-1 - blocks]
    maps = explainer.explain(transformer.images, transformer.labels, resize=False).numpy()[..., 0]
    expected = vit_recipro_cam(transformer, blocks)
    np.testing.assert_allclose(maps, expected, atol=1e-5 * expected.max())


@pytest.mark.parametrize("read", READ)
def test_what_a_rollout_does_not_give_the_patches_is_the_class_tokens(read):
    transformer = Transformer(read)
    maps = tfcam.AttentionRollout(transformer.model).explain(transformer.images, resize=False).numpy()
    own = 1 - maps.sum(axis=(1, 2, 3))
    if read == "token":
        # What half of itself the class token keeps at each of three attentions, at least.
        assert (own >= 0.5**3).all() and (own < 1).all()
    else:
        np.testing.assert_allclose(own, 0, atol=1e-6)


def of_one_head():
    """Return a model of an attention of one head, which asks tokens for their one number, and reads a class token."""
    image = keras.Input((2, 2, 1))
    x = L.ZeroPadding1D((1, 0))(L.Reshape((4, 1))(L.Conv2D(1, 1, use_bias=False)(image)))
    attention = L.MultiHeadAttention(1, 1)
    x = L.Add()([x, attention(x, x)])
    model = keras.Model(image, L.Dense(1, use_bias=False)(x[:, 0]))
    one, none = np.ones(1), np.zeros(1)
    model.layers[1].kernel.assign(one.reshape(1, 1, 1, 1))
    # Queries, keys, values and what is put out, each a kernel and a bias.
    weights = [none, one, one, none, one, none, one, none]
    shapes = [weight.shape for weight in attention.get_weights()]
    attention.set_weights([part.reshape(shape) for part, shape in zip(weights, shapes, strict=True)])
    model.layers[-1].kernel.assign([[2.0]])
    return model


def test_one_layer_and_one_head_in_closed_form():
    r"""The score is 2 (0 + sum_j a_j x_j), so that its gradient for a_j is 2 x_j."""
    x = np.array([0.3, -0.7, 1.1, 0.2], "float32")
    a = np.exp(np.r_[0, x]) / np.exp(np.r_[0, x]).sum()
    model, images = of_one_head(), x.reshape(1, 2, 2, 1)
    gradient = np.maximum(2 * x, 0)
    expected = {
        "attention-rollout": a[1:] / 2,
        "attention-relevance": a[1:] * gradient,
        "agcam": gradient / (1 + np.exp(-x)),
    }
    for name, wanted in expected.items():
        maps = tfcam.METHODS[name](model, output_layer=-1, operator="regression").explain(images, resize=False)
        np.testing.assert_allclose(maps.numpy().ravel(), wanted, atol=1e-6)


def test_attentions_before_the_named_layer_do_not_count():
    transformer = Transformer("mean")
    add = [layer for layer in transformer.model.layers if isinstance(layer, L.Add)][1]
    behind = tfcam.AttentionRollout(transformer.model, conv_layer=add).explain(transformer.images, resize=False)
    probabilities, _, _ = transformer.slow(transformer.images, transformer.labels)
    expected = ATTENTION_ORACLES["attention-rollout"](probabilities[1:], None, None, "mean")
    np.testing.assert_allclose(behind.numpy().reshape(3, -1), expected, atol=1e-6)


@pytest.mark.parametrize("shift", [0, 1])
def test_a_rollout_through_windows_and_merged_tokens_keeps_its_sum(shift):
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    maps = tfcam.AttentionRollout(swin(shift).model).explain(images, resize=False).numpy()
    assert maps.shape == (2, 8, 8, 1)
    np.testing.assert_allclose(maps.sum(axis=(1, 2, 3)), 1, atol=1e-5)
    assert maps.min() >= 0 and maps.std() > 0


@pytest.mark.parametrize("name", ATTENTION_ORACLES)
def test_attentions_of_different_grids_make_one_map(name):
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    explainer = tfcam.METHODS[name](swin(1).model)
    maps = explainer.explain(images, 1).numpy()
    assert maps.shape == (2, 32, 32, 1) and np.isfinite(maps).all() and maps.max() > 0
    alone = explainer.explain(images[1:], 1).numpy()
    np.testing.assert_allclose(alone[0], maps[1], atol=1e-5 * maps.max())


@pytest.mark.parametrize("name", ["attention-relevance", "le-grad"])
def test_a_model_without_attention_is_refused(name, model, images):
    with pytest.raises(
        ValueError, match=r"No attention over cells of the image leads to .* take a method of activations"
    ):
        tfcam.METHODS[name](model).explain(images)


def test_a_score_that_no_attention_leads_to_is_refused():
    image = keras.Input(SHAPE)
    patches = L.Conv2D(DIM, 4, strides=4, name="patches")(image)
    tokens = L.Reshape((12, DIM))(patches)
    attended = L.Dense(4, name="attended")(L.GlobalAveragePooling1D()(L.MultiHeadAttention(2, 4)(tokens, tokens)))
    plain = L.Dense(4, name="plain")(L.GlobalAveragePooling2D()(patches))
    model, images = keras.Model(image, [attended, plain]), np.zeros((1, *SHAPE), "float32")
    tfcam.AttentionRelevance(model, output_layer="attended").explain(images)
    with pytest.raises(ValueError, match="No attention over cells of the image leads to the explained score"):
        tfcam.AttentionRelevance(model, output_layer="plain").explain(images)


def test_a_layer_behind_all_attentions_is_refused():
    transformer = Transformer("mean")
    last = [layer for layer in transformer.model.layers if isinstance(layer, L.Add)][-1]
    with pytest.raises(ValueError, match=r"comes behind conv_layer .* name a layer before it"):
        tfcam.AttentionRelevance(transformer.model, conv_layer=last).explain(transformer.images)


def test_keys_without_a_place_are_named():
    class Shuffled(L.Layer):
        def call(self, x):
            order = tf.argsort(tf.reduce_sum(x, axis=-1), axis=1)
            return tf.gather(x, order, batch_dims=1)

    image = keras.Input(SHAPE)
    x = L.Reshape((12, DIM))(L.Conv2D(DIM, 4, strides=4)(image))
    x = Shuffled()(x)
    model = keras.Model(image, L.Dense(4)(L.GlobalAveragePooling1D()(L.MultiHeadAttention(2, 4)(x, x))))
    with pytest.raises(ValueError, match=r"tokens whose place in the image is not told.*GatherV2.*HiResCAM"):
        tfcam.AttentionRelevance(model, conv_layer=1).explain(np.zeros((1, *SHAPE), "float32"))


@pytest.mark.parametrize("name", ["attention-relevance", "grad-eclip", "le-grad"])
def test_probabilities_and_saturated_scores_are_warned_of(name, attending_model, images):
    method = tfcam.METHODS[name]
    with pytest.warns(tfcam.ExplanationWarning, match="holds probabilities, not logits"):
        method(attending_model, output_layer=-1).explain(images, 1)
    attending_model.get_layer("scores").kernel.assign(np.zeros((6, 4)))
    with pytest.warns(tfcam.ExplanationWarning, match="all gradients are exactly zero"):
        assert not method(attending_model).explain(images, 1).numpy().any()


def test_what_another_output_reads_is_not_read():
    """Of a model that puts out the mean of all tokens too, the class token's score is explained by what it reads."""
    transformer = Transformer("token")
    tokens = L.GlobalAveragePooling1D(name="all_tokens")(transformer.ends[-1])
    both = keras.Model(transformer.model.input, [transformer.model.output, tokens])
    name = transformer.model.layers[-1].name
    for method in (tfcam.AttentionRollout, tfcam.AGCAM):
        expected = method(transformer.model).explain(transformer.images, transformer.labels)
        maps = method(both, output_layer=name).explain(transformer.images, transformer.labels)
        np.testing.assert_allclose(maps, expected, atol=1e-5 * np.max(expected))
