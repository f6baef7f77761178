"""The attentions of every kind of transformer of the table of kinds, whoever wrote them, and of images of any size."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from kinds_of_model import ROWS

import tfcam

L = keras.layers
#: How many attentions a kind has, and whether what is read is all of what they put out, so that a rollout sums to 1.
KINDS = {
    "class_token": (2, False),
    "class_token_with_dropout": (2, False),
    "class_token_and_distillation_token": (2, False),
    "class_token_and_registers": (2, False),
    "class_token_of_fused_attention": (2, False),
    "tokens_flattened": (2, True),
    "tokens_pooled_with_class_token": (2, False),
    "tokens_pooled": (2, True),
    "tokens_of_reshaped_patches": (2, True),
    "windows": (3, True),
    "shifted_windows": (3, True),
    "tokens_pooled_by_attention": (3, True),
    "compact_transformer": (3, True),
    "class_attention": (3, False),
    "cross_attention": (1, True),
    "hybrid_of_convolutions_and_tokens": (1, True),
    "tokens_in_a_nested_backbone": (2, True),
    "tokens_of_a_subclassed_model": (2, False),
    "tokens_in_half_precision": (2, False),
    "tokens_of_a_series": (1, False),
    "tokens_of_a_volume": (1, True),
    "legacy_class_token": (1, False),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_attentions_of_a_kind_of_transformer(kind):
    count, is_all = KINDS[kind]
    row = ROWS[kind]()
    found = []

    class Counted(tfcam.AttentionRollout):
        def weights(self, run, attentions):
            found.append(len(attentions))
            return super().weights(run, attentions)

    sums = Counted(row.model).explain(row.images, resize=False).numpy().reshape(len(row.images), -1).sum(axis=1)
    assert found[-1] == count
    if is_all:
        np.testing.assert_allclose(sums, 1, atol=5e-3 if "half" in kind else 1e-4)
    else:
        assert (sums > 0).all() and (sums < 1).all()
    maps = tfcam.AttentionRelevance(row.model).explain_classes(row.images, [0, 1, 2, 3]).numpy()
    assert np.isfinite(maps).all() and maps.std(axis=1).max() > 0


def test_a_mixer_has_no_attention():
    row = ROWS["mixer"]()
    with pytest.raises(ValueError, match="No attention over cells of the image leads to the explained score"):
        tfcam.AttentionRelevance(row.model).explain(row.images)


def test_attentions_of_images_of_any_size():
    """A model that takes images of any size gives the maps of one that is built for their size."""
    keras.utils.set_random_seed(0)
    patches, attention, dense = L.Conv2D(8, 4, strides=4), L.MultiHeadAttention(2, 4), L.Dense(3)

    def model(shape):
        image = keras.Input((*shape, 3))
        tokens = L.Reshape((-1, 8))(patches(image))
        return keras.Model(image, dense(L.GlobalAveragePooling1D()(L.Add()([tokens, attention(tokens, tokens)]))))

    any_size = tfcam.AttentionRelevance(model((None, None)))
    for shape in ((16, 12), (12, 16), (8, 8)):
        images = np.random.default_rng(0).normal(size=(2, *shape, 3)).astype("float32")
        expected = tfcam.AttentionRelevance(model(shape)).explain(images, 1)
        np.testing.assert_allclose(any_size.explain(images, 1), expected, atol=1e-6)


def test_attentions_are_smoothed_compared_and_evaluated_with_methods_of_activations(demo_transformer):
    from tfcam.demo import make_scenes

    scenes = make_scenes(2, objects=2, seed=1)
    images, labels = scenes.images.astype("float32"), scenes.labels[:, 0]
    relevance = tfcam.AttentionRelevance(demo_transformer)
    together = tfcam.compare(demo_transformer, images, labels, [relevance, "grad-cam", "attention-rollout"])
    np.testing.assert_allclose(together["attention-relevance"], relevance.explain(images, labels), atol=1e-5)
    found = tfcam.evaluate(
        demo_transformer, images, labels, ["attention-relevance", "grad-cam"], metrics=["average-drop"]
    )
    assert {row["method"] for row in found.records()} == {"attention-relevance", "grad-cam"}
    smooth = tfcam.AttentionRelevance(demo_transformer, smooth="augment").explain(images, labels)
    assert 0.5 < np.corrcoef(tf.reshape(smooth, -1), tf.reshape(together["attention-relevance"], -1))[0, 1] < 0.9999
