"""Ordinary mistakes: each message shows the call that works, and that call works."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from foreign_tensor import Tensor
from oracle import same
from small_models import LABELS

import tfcam
from tfcam.metrics.base import Metric

Image = pytest.importorskip("PIL.Image")
L = keras.layers


class Own(Metric):
    """A metric of one's own, without a constructor."""

    def values(self, batch):
        return np.zeros(3)


def explain(model, x, y=0, **options):
    return tfcam.GradCAM(model, **options).explain(x, y)


def first(m):
    """Return a model that takes channels first, without a convolution that does."""
    inputs = keras.Input((3, 16, 12))
    return keras.Model(inputs, m(L.Permute((2, 3, 1))(inputs)))


def grey(m):
    inputs = keras.Input((16, 12, 1))
    return keras.Model(inputs, m(L.Concatenate()([inputs] * 3)))


def nested(m):
    inputs = keras.Input((16, 12, 3))
    body = keras.Model(m.inputs, m.get_layer("second").output, name="Body")
    return keras.Model(inputs, L.Dense(4)(L.Flatten()(body(inputs))))


def saved(x, path):
    keras.utils.save_img(path, x)
    return path


#: Each mistake, what is said of it, and the call that is named.
MISTAKES = {
    "a path": (
        lambda m, x: explain(m, "cat.jpg"),
        r"got the path 'cat\.jpg': read it first, np\.stack\(\[keras\.utils\.img_to_array\(keras\.utils\.load_img",
        None,
    ),
    "a Path": (lambda m, x: explain(m, Path("photos/cat.jpg")), r"got the path 'photos/cat\.jpg'", None),
    "a list of paths": (lambda m, x: explain(m, ["a.jpg", "b.jpg"]), r"got the path 'a\.jpg'", None),
    "a path for a model that is not built": (
        lambda m, x: explain(keras.Sequential([L.Conv2D(2, 3), L.Flatten(), L.Dense(2)]), "cat.jpg"),
        r"got the path 'cat\.jpg'",
        None,
    ),
    "images and labels in a tuple": (
        lambda m, x: tfcam.GradCAM(m).explain((x, LABELS)),
        r"a tuple of images and labels: call explain\(x, y\)",
        lambda m, x: tfcam.GradCAM(m).explain(x, LABELS),
    ),
    "a list of pairs": (
        lambda m, x: tfcam.GradCAM(m).explain(list(zip(x, LABELS, strict=True))),
        r"x, y = zip\(\*pairs\), and then explain\(np\.stack\(x\), np\.array\(y\)\)",
        lambda m, x: tfcam.GradCAM(m).explain(np.stack(x), np.array(LABELS)),
    ),
    "class names": (
        lambda m, x: explain(m, x, ["cat", "dog", "cat", "dog", "cat"]),
        r"got the class name 'cat': give indices, \[class_names\.index\(name\) for name in names\]",
        lambda m, x: explain(m, x, [["cat", "dog"].index(name) for name in ["cat", "dog", "cat", "dog", "cat"]]),
    ),
    "a class name": (lambda m, x: explain(m, x, "cat"), r"got the class name 'cat'", None),
    "masks": (
        lambda m, x: explain(m, x, np.ones((5, 16, 12))),
        r"A mask says where, and no class: give the class\.$",
        lambda m, x: explain(m, x, [0] * 5),
    ),
    "classes of several numbers": (
        lambda m, x: tfcam.GradCAM(m).explain_classes(x[:2], [[0], [0, 1]]),
        r"as many for each image, got lists of 1 and 2: explain those images apart, explain_classes",
        lambda m, x: tfcam.GradCAM(m).explain_classes(x[:1], [0, 1])[:, 0],
    ),
    "channels first": (
        lambda m, x: explain(m, x.transpose(0, 3, 1, 2)),
        r"Move the channels last: images\.transpose\(0, 2, 3, 1\)",
        lambda m, x: explain(m, x.transpose(0, 3, 1, 2).transpose(0, 2, 3, 1)),
    ),
    "channels last": (
        lambda m, x: explain(first(m), x),
        r"Move the channels first: images\.transpose\(0, 3, 1, 2\)",
        lambda m, x: explain(first(m), x.transpose(0, 3, 1, 2)),
    ),
    "grey": (
        lambda m, x: explain(m, x[..., :1]),
        r"Make them RGB: np\.repeat\(images, 3, axis=-1\)",
        lambda m, x: explain(m, np.repeat(x[..., :1], 3, axis=-1)),
    ),
    "colours": (
        lambda m, x: explain(grey(m), x),
        r"Make them grey: tf\.image\.rgb_to_grayscale\(images\)",
        lambda m, x: explain(grey(m), tf.image.rgb_to_grayscale(x)),
    ),
    "opacity": (
        lambda m, x: explain(m, np.concatenate([x, x[..., :1]], -1)),
        r"Leave off their opacity: images\[\.\.\., :3\]",
        lambda m, x: explain(m, np.concatenate([x, x[..., :1]], -1)[..., :3]),
    ),
    "another size": (
        lambda m, x: explain(m, x[:, :10]),
        r"Resize them: tf\.image\.resize\(images, \(16, 12\)\)",
        lambda m, x: explain(m, tf.image.resize(x[:, :10], (16, 12))),
    ),
    "a model's path": (
        lambda m, x: tfcam.GradCAM("model.keras"),
        r"got 'str'\. Load it first: keras\.models\.load_model\('model\.keras'\)",
        None,
    ),
    "a model's Path": (lambda m, x: tfcam.GradCAM(Path("m.h5")), r"keras\.models\.load_model\('m\.h5'\)", None),
    "layer=": (
        lambda m, x: explain(m, x, layer="second"),
        r"GradCAM takes no layer=\. Write conv_layer='name'",
        lambda m, x: explain(m, x, conv_layer="second"),
    ),
    "target_layers=": (
        lambda m, x: tfcam.ScoreCAM(m, target_layers=["second"]),
        r"ScoreCAM takes no target_layers=\. Write conv_layer=",
        lambda m, x: explain(m, x, conv_layer=["second"]),
    ),
    "penultimate_layer=": (lambda m, x: tfcam.XGradCAM(m, penultimate_layer=-1), r"Write conv_layer=", None),
    "aug_smooth=": (
        lambda m, x: tfcam.GradCAM(m, aug_smooth=True),
        r"Write smooth='augment'",
        lambda m, x: explain(m, x, smooth="augment"),
    ),
    "class_idx=": (lambda m, x: tfcam.GradCAM(m, class_idx=1), r"Write explain\(images, labels\)", None),
    "batch_size=True": (
        lambda m, x: tfcam.GradCAM(m, batch_size=True).explain(x, 0),
        "batch_size must be a positive integer, or None for all at once",
        lambda m, x: tfcam.GradCAM(m, batch_size=1).explain(x, 0),
    ),
    "n_samples=": (lambda m, x: tfcam.RISE(m, n_samples=10), r"RISE takes no n_samples=\. Write samples=", None),
    "a misspelt option": (
        lambda m, x: tfcam.GradCAM(m, batchsize=3),
        r"no batchsize=\. Did you mean batch_size=",
        None,
    ),
    "an option of nobody's": (
        lambda m, x: tfcam.GradCAM(m, colour=3),
        r"no colour=\. Its options are model, output_layer, batch_size, operator, conv_layer, tokens, smooth",
        None,
    ),
    "steps= of a metric": (
        lambda m, x: tfcam.metrics.Deletion(m, x, LABELS, steps=10),
        r"Deletion takes no steps=\. Write percent=, .*percent=10 makes ten steps",
        None,
    ),
    "an option of a metric of one's own": (
        lambda m, x: Own(m, x, LABELS, score=max),
        r"Own takes no score=\. Write operator=",
        None,
    ),
    "baseline_mode= of a metric": (
        lambda m, x: tfcam.metrics.Insertion(m, x, LABELS, baseline_mode=0.0),
        r"Insertion takes no baseline_mode=\. Write baseline=",
        None,
    ),
    "a layer in upper case": (
        lambda m, x: explain(m, x, conv_layer="SECOND"),
        r"names no layer.*Did you mean 'second'",
        lambda m, x: explain(m, x, conv_layer="second"),
    ),
    "a nested layer that is misspelt": (
        lambda m, x: explain(nested(m), x, conv_layer="Body/secnd"),
        r"Did you mean 'Body/second'",
        lambda m, x: explain(nested(m), x, conv_layer="Body/second"),
    ),
    "a nested layer of another model": (
        lambda m, x: explain(nested(m), x, conv_layer="backbone/second"),
        r"Did you mean .*'second'",
        lambda m, x: explain(nested(m), x, conv_layer="second"),
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_with_the_call_that_works(mistake, model, images):
    call, message, _ = MISTAKES[mistake]
    with pytest.raises((TypeError, ValueError)) as caught:
        call(model, images)
    assert re.search(message, str(caught.value), re.DOTALL), str(caught.value)


@pytest.mark.parametrize("mistake", [name for name, (*_, remedy) in MISTAKES.items() if remedy])
def test_that_call_works(mistake, model, images):
    maps = MISTAKES[mistake][2](model, images)
    assert maps.shape[1:] == (16, 12, 1) and np.isfinite(maps).all()


def test_a_list_of_pil_images_is_explained(model, images):
    pixels = np.round(127.5 * (images + 1)).astype("uint8")
    same(explain(model, [Image.fromarray(one) for one in pixels]), explain(model, pixels).numpy())


def test_tensors_of_pytorch_are_explained(model, images, expected):
    explainer = tfcam.GradCAM(model)
    same(explainer.explain(Tensor(images), LABELS), expected)
    same(explainer.explain([Tensor(image) for image in images], LABELS), expected)


def test_what_reads_a_path_is_what_the_message_says(model, images, tmp_path):
    path = saved(images[0], tmp_path / "cat.png")
    x = np.stack([keras.utils.img_to_array(keras.utils.load_img(path, target_size=(16, 12)))])
    assert explain(model, x).shape == (1, 16, 12, 1)


def test_the_operator_that_the_message_on_masks_names_works(images):
    model = keras.Sequential([keras.Input((16, 12, 3)), L.Conv2D(4, 3, padding="same"), L.Conv2D(3, 1)])
    masks = np.zeros((5, 16, 12), "float32")
    masks[:, :8] = 1
    operator = lambda model, x, masks: tf.reduce_mean(model(x)[..., 1] * masks, axis=(1, 2))  # noqa: E731
    maps = explain(model, images, masks, operator=operator, absolute=True)
    assert maps.shape == (5, 16, 12, 1) and np.max(maps) > 0


def test_completion_shows_what_a_user_needs(model):
    shown = [name for name in dir(tfcam.RISE(model, samples=10)) if not name.startswith("_")]
    assert {"explain", "explain_top", "stream", "map", "list_layers", "conv_layer", "model", "samples"} <= set(shown)
    assert len(shown) < 25 and not {"settled", "shown", "summed", "of_channels"} & set(shown)
