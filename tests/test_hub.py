"""KerasHub's models: their operations are in the table, their tokens a grid. In an environment: ``make peers``."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf
from documents import ROOT, blocks
from hub_models import BUILDERS, MODELS, SHAPE, clip, d_fine, deeplab_segmenter, retinanet, segformer_segmenter
from operations import unknown_types

import tfcam
from tfcam.backend.symbolic_call import run_symbolically


@pytest.mark.parametrize("name", BUILDERS)
def test_every_operation_of_a_model_is_in_the_table(name):
    model = BUILDERS[name]()
    run = run_symbolically(model, tf.nest.map_structure(lambda one: tf.TensorSpec(one.shape, one.dtype), model.input))
    assert not unknown_types(run)


#: How many patches a model of these has, what is read of them, and the end of its default layer's name.
HEADS = {
    "ViT": ((8, 8), "token", "ln_1"),
    "DeiT": ((8, 8), "token", "ln_1"),
    "DINOv2": ((8, 8), "token", "norm1"),
    "DINOv3": ((8, 8), "token", "norm1"),
    "ViT without a class token": ((4, 4), "mean", "ln"),
    "Swin": ((8, 8), "mean", "norm"),
    "MiT": ((8, 8), "mean", "output_level"),
}


def classifier(name):
    """Return a classifier of a model's class token, or of the mean of its tokens, and two images for it."""
    keras.utils.set_random_seed(0)
    backbone = BUILDERS[name]()
    output = next(iter(backbone.output.values())) if isinstance(backbone.output, dict) else backbone.output
    is_read = HEADS[name][1] == "token"
    pooled = output[:, 0] if is_read else keras.ops.mean(output, axis=list(range(1, len(output.shape) - 1)))
    model = keras.Model(backbone.input, keras.layers.Dense(3)(pooled))
    pixels = np.random.default_rng(0).uniform(-1, 1, (2, *SHAPE)).astype("float32")
    return model, {key: pixels for key in model.input} if isinstance(model.input, dict) else pixels


@pytest.mark.parametrize("name", HEADS)
def test_the_tokens_of_a_model_are_a_grid(name):
    grid, _, end = HEADS[name]
    model, images = classifier(name)
    [default] = [info for info in tfcam.list_layers(model) if info.default]
    assert default.grid == grid and end in default.path.rsplit("/", 1)[-1]
    maps = tfcam.GradCAM(model, signed=True).explain_classes(images, [0, 1, 2]).numpy()
    assert maps.shape == (2, 3, *SHAPE[:2], 1) and np.isfinite(maps).all()
    assert np.abs(maps[:, 0] - maps[:, 1]).max() > 1e-4 * np.abs(maps).max()


#: How many attentions a model of these has.
ATTENTIONS = {"ViT": 2, "DeiT": 2, "DINOv2": 2, "DINOv3": 2, "ViT without a class token": 2, "Swin": 3, "MiT": 2}


def attentions_of(explainer, images):
    """Return the probabilities ``(N, heads, queries, keys)`` of each attention of a run."""
    explainer.explain(images, 0)
    [batch] = [x for x, _ in explainer.session.batches(images)]
    targets = explainer.session.known.read(0, 2)
    return explainer.session.compute(lambda run: [one.matrix() for one in run.attentions()], batch, targets)


@pytest.mark.parametrize("name", ATTENTIONS)
def test_the_attentions_of_a_model_are_found(name):
    model, images = classifier(name)
    explainer = tfcam.AttentionRollout(model)
    found = attentions_of(explainer, images)
    assert len(found) == ATTENTIONS[name]
    for one in found:
        np.testing.assert_allclose(np.sum(one, axis=-1), 1, atol=1e-5)
    sums = explainer.explain(images, resize=False).numpy().sum(axis=(1, 2, 3))
    if HEADS[name][1] == "mean":
        np.testing.assert_allclose(sums, 1, atol=1e-4)
    assert (sums > 0).all() and (sums < 1 + 1e-4).all()
    for method in (tfcam.AttentionRelevance, tfcam.AGCAM, tfcam.LeGrad, tfcam.BiCAM, tfcam.GradECLIP):
        maps = method(model, signed=True).explain(images, 1).numpy()
        assert maps.shape == (2, *SHAPE[:2], 1) and np.isfinite(maps).all() and np.abs(maps).max() > 0, method


@pytest.mark.parametrize("name", ["ViT", "ViT without a class token"])
def test_attentions_are_those_that_the_layers_tell(name, monkeypatch):
    model, images = classifier(name)
    found = attentions_of(tfcam.AttentionRelevance(model), images)
    told, compute = [], keras.layers.MultiHeadAttention._compute_attention

    def recorded(self, *arguments, **named):
        given = inspect.signature(compute).bind(self, *arguments, **named)
        given.arguments["return_attention_scores"] = True
        output, scores = compute(*given.args, **given.kwargs)
        told.append(scores.numpy())
        return output, scores

    monkeypatch.setattr(keras.layers.MultiHeadAttention, "_compute_attention", recorded)
    model(images)
    assert len(told) == len(found)
    for one, wanted in zip(found, told, strict=True):
        np.testing.assert_allclose(one, wanted, atol=1e-5)


#: The models of the pages of tasks, in the order of their programs, and what these have besides.
DOCUMENTED = [
    ("segmentation.md", "DeepLabV3ImageSegmenter", deeplab_segmenter),
    ("segmentation.md", "SegFormerImageSegmenter", segformer_segmenter),
    ("similarity.md", "CLIPBackbone", clip),
    ("detection.md", "RetinaNetObjectDetector", retinanet),
    ("detection.md", "DFineObjectDetector", d_fine),
]


@pytest.mark.parametrize(("page", "name", "build"), DOCUMENTED)
def test_the_programs_of_the_pages_explain_random_weights(page, name, build, monkeypatch):
    [code] = [one for one in blocks((ROOT / "docs/tasks" / page).read_text("utf-8"), "py") if name in one]
    lines = [line for line in code.splitlines() if line]
    assert len(lines) <= 6 and max(map(len, lines)) <= 88
    model, loaded = build(), []
    monkeypatch.setattr(getattr(MODELS, name), "from_preset", lambda preset: loaded.append(preset) or model)
    size = SHAPE if isinstance(model.input, dict) else model.input_shape[1:]
    images = np.random.default_rng(0).uniform(-1, 1, (2, *size)).astype("float32")
    words = np.random.default_rng(0).integers(1, 50, (2, 7))
    names = {"tfcam": tfcam, "keras": keras, "images": images, "token_ids": words}
    names["targets"] = {"class": [1, 2], "region": np.ones((2, *SHAPE[:2]))}
    exec(code, names)
    assert loaded and loaded[0] in getattr(MODELS, name).presets
    heatmaps = names["heatmaps"].numpy()
    assert heatmaps.shape == (2, *size[:2], 1) and np.isfinite(heatmaps).all() and heatmaps.max() > 0


def test_odam_of_a_retinanet_is_a_tape():
    """Of what `predict` returns after suppression, in the model's own format; at the level that it comes from."""
    model = retinanet()
    images = np.random.default_rng(0).uniform(-1, 1, (2, *SHAPE)).astype("float32")
    explainer = tfcam.ODAM(model)
    layers = [name.rsplit("/", 1)[-1] for name in explainer.conv_layer]
    assert layers == ["output_conv_P3", "output_conv_P4", "output_conv_P5"]
    found = model.predict(images, verbose=0)
    maps = explainer.explain(images, found)
    with tf.GradientTape() as tape:
        activations = list(model.backbone(images).values())
        tape.watch(activations)
        rows = [tf.reshape(model.classification_head(one), (2, -1, 4)) for one in activations]
        logits = tf.concat(rows, axis=1)
        # What is left first by suppression is the most confident of all.
        numbers = tf.argmax(tf.reduce_max(logits, axis=-1), axis=-1)
        classes = found["labels"][:, 0]
        score = tf.reduce_sum(tf.gather(logits, numbers, batch_dims=1) * tf.one_hot(classes, 4))
    expected = 0.0
    for activation, gradient in zip(activations, tape.gradient(score, activations), strict=True):
        grid = tf.nn.relu(tf.reduce_sum(activation * gradient, axis=-1))[..., None]
        expected += tf.nn.relu(tf.image.resize(grid, SHAPE[:2], "bicubic"))
    np.testing.assert_allclose(maps, expected, atol=1e-5 * np.max(expected))


def test_a_d_fine_is_explained_at_the_finest_grid_of_its_encoder():
    model = d_fine()
    images = np.random.default_rng(0).uniform(-1, 1, (2, 128, 128, 3)).astype("float32")
    explainer = tfcam.ODAM(model)
    assert "hybrid_encoder/fpn" in explainer.conv_layer
    assert explainer.explain(images, resize=False).shape == (2, 8, 8, 1)
    maps, found = explainer.explain_detections(images, model.predict(images, verbose=0))
    assert maps.shape[0] == 2 and np.all(np.max(maps, axis=(2, 3, 4))[found["classes"] >= 0] > 0)
    masked = tfcam.DRISE(model, samples=4).explain(images)
    assert masked.shape == (2, 128, 128, 1) and np.max(masked) > 0


def test_the_map_of_an_image_is_of_its_own_text():
    model = clip()
    two = [model.get_layer(f"{one}_projection").output for one in ("vision", "text")]
    explainer = tfcam.GradECLIP(keras.Model(model.input, two), operator="similarity")
    images = np.random.default_rng(0).uniform(-1, 1, (2, *SHAPE)).astype("float32")
    words = np.random.default_rng(0).integers(1, 50, (2, 7))
    both = explainer.explain({"images": images, "token_ids": words})
    swapped = explainer.explain({"images": images, "token_ids": words[::-1]})
    assert np.abs(both - swapped).max() > 1e-3 * np.abs(both).max()
    alone = tfcam.GradECLIP(keras.Model(model.input["images"], two[0]), operator="similarity")
    embedded = keras.Model(model.input["token_ids"], two[1])(words)
    np.testing.assert_allclose(both, alone.explain(images, embedded), atol=1e-5 * np.abs(both).max())
