"""Why are these two alike? Similarities against tapes: to embeddings, to images, between two towers."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from oracle import close, grad_cam_of, same
from small_models import net

import tfcam
from tfcam.demo import load_model, make_scenes

L = keras.layers
MEASURES = {
    "cosine": lambda e, r: tf.reduce_sum(e * r, -1) / (tf.norm(e, axis=-1) * tf.norm(r, axis=-1)),
    "dot": lambda e, r: tf.reduce_sum(e * r, -1),
    "distance": lambda e, r: -tf.norm(e - r, axis=-1),
}


@pytest.fixture
def embedder():
    return net(7, "tanh")


def maps_of(model, images, references, measure):
    conv, *head = model.layers
    return grad_cam_of(conv, lambda a: MEASURES[measure](head[1](head[0](a)), references), images)


@pytest.fixture
def references():
    return np.random.default_rng(3).normal(size=(5, 7)).astype("float32")


@pytest.mark.parametrize("measure", MEASURES)
def test_the_similarity_to_an_embedding_is_that_of_a_tape(embedder, images, references, measure):
    each = tfcam.GradCAM(embedder, operator=tfcam.Similarity(measure=measure))
    close(each.explain(images, references, resize=False)[..., 0], maps_of(embedder, images, references, measure), 1e-5)
    one = tfcam.GradCAM(embedder, operator=tfcam.Similarity(references[2], measure))
    close(one.explain(images), each.explain(images, references[[2] * 5]))


def test_the_similarity_to_an_image_is_that_to_its_embedding(embedder, images):
    embeddings = np.asarray(embedder(images))
    explainer = tfcam.GradCAM(embedder, operator="similarity", batch_size=2)
    expected = explainer.explain(images[:4], embeddings[1:])
    same(explainer.explain(images[:4], images[1:]), expected)
    dataset = tf.data.Dataset.from_tensor_slices((images[:4], images[1:])).batch(2)
    same(explainer.explain(dataset), expected)
    of_all = tfcam.GradCAM(embedder, operator=tfcam.Similarity(images[4]))
    same(of_all.explain(images), explainer.explain(images, embeddings[[4] * 5]))
    labelled = tf.data.Dataset.from_tensor_slices((images, np.arange(5))).batch(2)
    same(of_all.explain(labelled), of_all.explain(images))


@pytest.mark.parametrize("measure", MEASURES)
def test_an_image_is_like_itself_whatever_is_seen(embedder, images, measure):
    maps = tfcam.GradCAM(embedder, operator=tfcam.Similarity(measure=measure)).explain(images, images)
    assert np.isfinite(maps).all()


def test_the_embedding_may_have_a_grid(images):
    layers = [L.Conv2D(4, 3, activation="relu", name="conv"), L.Conv2D(2, 3)]
    grid = keras.Sequential([L.Input((16, 12, 3)), *layers])
    flat = keras.Sequential([L.Input((16, 12, 3)), *layers, L.Flatten()])
    reference = np.random.default_rng(0).normal(size=grid.output_shape[1:]).astype("float32")
    given = [(grid, reference), (flat, reference.reshape(-1))]
    same(*(tfcam.GradCAM(m, operator=tfcam.Similarity(r), conv_layer="conv").explain(images) for m, r in given))


def siamese(embedder):
    """Return a model of two images, and of their embeddings, of one tower."""
    left, right = keras.Input((16, 12, 3), name="left"), keras.Input((16, 12, 3), name="right")
    return keras.Model([left, right], [embedder(left), embedder(right)])


def test_of_two_towers_either_input_is_explained(embedder, images):
    model, others = siamese(embedder), images[::-1].copy()
    paths = {row.input_index: row.path for row in tfcam.list_layers(model)}
    alone = tfcam.GradCAM(embedder, operator="similarity")
    for index, pair in enumerate([(images, others), (others, images)]):
        explainer = tfcam.GradCAM(model, operator="similarity", conv_layer=paths[index])
        close(explainer.explain((images, others)), alone.explain(*pair))


def test_towers_of_images_and_of_words(embedder, images):
    words = keras.Input((4,), dtype="int32")
    text = L.Dense(7, name="text")(L.GlobalAveragePooling1D()(L.Embedding(5, 8)(words)))
    model = keras.Model({"image": embedder.inputs[0], "words": words}, {"image": embedder.outputs[0], "text": text})
    sentences = np.random.default_rng(0).integers(0, 5, (5, 4))
    embeddings = np.asarray(keras.Model(words, text)(sentences))
    found = tfcam.GradCAM(model, operator="similarity").explain({"image": images, "words": sentences})
    close(found, tfcam.GradCAM(embedder, operator="similarity").explain(images, embeddings))


@pytest.mark.parametrize("count", [None, 4])
@pytest.mark.parametrize("method", [tfcam.GradECLIP, tfcam.AttentionRelevance, tfcam.AttentionRollout])
def test_an_attention_over_words_is_none_over_the_image(count, method):
    vit, scenes = load_model("vit"), make_scenes(2).images.astype("float32")
    image = keras.Model(vit.inputs, vit.get_layer("flat").output)
    words, embedding = keras.Input((count,), dtype="int32"), L.Embedding(5, 8, name="words")
    told = embedding(words)
    text = L.Dense(image.output_shape[-1])(L.GlobalAveragePooling1D()(L.MultiHeadAttention(2, 4)(told, told)))
    towers = keras.Model([*image.inputs, words], [image.outputs[0], text])
    sentences = np.random.default_rng(0).integers(0, 5, (2, 4))
    embeddings = np.asarray(keras.Model(words, text)(sentences))
    found = method(towers, operator="similarity").explain([scenes, sentences])
    close(found, method(image, operator="similarity").explain(scenes, embeddings))


def test_words_that_ask_an_image_are_no_tokens_of_it(images):
    image, words = keras.Input((16, 12, 3)), keras.Input((4,), dtype="int32")
    seen = L.Reshape((48, 8))(L.Conv2D(8, 3, 2, padding="same")(image))
    told = L.Embedding(5, 8, name="words")(words)
    told = L.Add()([told, L.MultiHeadAttention(2, 4, name="cross")(told, seen)])
    model = keras.Model([image, words], L.GlobalAveragePooling1D()(L.MultiHeadAttention(2, 4)(told, told)))
    given = [images, np.random.default_rng(0).integers(0, 5, (5, 4))]
    for method in (tfcam.AGCAM, tfcam.LeGrad, tfcam.BiCAM):
        found = method(model, operator=tfcam.Similarity(np.ones(8), "dot"), signed=True).explain(given)
        assert found.shape == (5, 16, 12, 1) and np.abs(found).max() > 0
    with pytest.raises(ValueError, match=r"attention-rollout follows.*cross.* are of another input than the image"):
        tfcam.AttentionRollout(model, operator=tfcam.Similarity(np.ones(8))).explain(given)


def test_perturbed_images_are_compared_with_the_same_reference(embedder, images):
    embeddings = np.asarray(embedder(images))[::-1].copy()
    for name in ("score-cam", "rise", "ablation-cam"):
        options = {"samples": 20} if name == "rise" else {}
        explainer = tfcam.get_method(name)(embedder, operator="similarity", **options)
        # Perturbed scores lie close together: what rounds them otherwise is seen in the map.
        close(explainer.explain(images, images[::-1].copy()), explainer.explain(images, embeddings), 1e-3)


def test_metrics_measure_the_similarity(embedder, images):
    maps = tfcam.GradCAM(embedder, operator="similarity").explain(images, images[::-1].copy())
    of = [images[::-1].copy(), np.asarray(embedder(images))[::-1].copy()]
    same(*(tfcam.metrics.Deletion(embedder, images, one, operator="similarity").evaluate(maps) for one in of))


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (None, "there is none: give tfcam.Similarity"),
        (np.ones((5, 6)), r"shape \(6,\); expected an embedding \(7,\), or an image \(16, 12, 3\)"),
        (np.ones((5, 16, 8, 3)), r"shape \(16, 8, 3\); expected"),
        (np.ones((4, 7)), "4 targets were given for 5 images"),
        (np.arange(5), r"shape \(\); expected an embedding"),
    ],
)
def test_what_is_no_reference_is_refused(embedder, images, targets, message):
    with pytest.raises(ValueError, match=message):
        tfcam.GradCAM(embedder, operator="similarity").explain(images, targets)


def test_what_cannot_be_compared_is_refused(embedder, images):
    with pytest.raises(ValueError, match="none of"):
        tfcam.Similarity(measure="euclidean")
    with pytest.raises(ValueError, match=r"shape \(3,\); expected an embedding \(7,\), or an image"):
        tfcam.GradCAM(embedder, operator=tfcam.Similarity([1, 2, 3])).explain(images)
    with pytest.raises(ValueError, match="take no reference"):
        tfcam.GradCAM(siamese(embedder), operator="similarity").explain((images, images), np.ones((5, 7)))
    three = keras.Model(embedder.inputs, [embedder.outputs[0]] * 3)
    with pytest.raises(ValueError, match="expected one embedding, or two of one size"):
        tfcam.GradCAM(three, operator="similarity")
