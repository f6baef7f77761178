"""Loaders that are no tf.data.Dataset: those that tell their length are explained, the others streamed."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from foreign_tensor import Tensor
from oracle import same
from small_models import LABELS

import tfcam


class Pieces(keras.utils.PyDataset):
    """A dataset of Keras, of batches of two."""

    def __init__(self, images, labels, endless=False):
        super().__init__()
        self.images, self.labels, self.endless = images, labels, endless

    def __len__(self):
        return -(-len(self.images) // 2)

    @property
    def num_batches(self):
        return None if self.endless else len(self)

    def __getitem__(self, index):
        return self.images[2 * index : 2 * index + 2], self.labels[2 * index : 2 * index + 2]


class Whole(Pieces):
    """All images in each batch."""

    def __getitem__(self, index):
        return self.images, self.labels


class Loader:
    """As PyTorch's DataLoader: a length, an iterator anew each time, pairs as lists."""

    def __init__(self, images, labels):
        self.images, self.labels = images, labels

    def __len__(self):
        return len(self.images)

    def __iter__(self):
        for x, y in zip(self.images, self.labels, strict=True):
            yield [Tensor(x[None]), Tensor(np.array([y]))]


def generator_of_keras(images, labels):
    from keras.src.legacy.preprocessing.image import ImageDataGenerator

    return ImageDataGenerator().flow(images, labels, batch_size=2, shuffle=False)


def legacy(images, labels):
    tf_keras = pytest.importorskip("tf_keras")
    return tf_keras.preprocessing.image.ImageDataGenerator().flow(images, labels, batch_size=2, shuffle=False)


FINITE = {"PyDataset": Pieces, "DataLoader": Loader, "ImageDataGenerator": generator_of_keras, "tf_keras": legacy}


@pytest.mark.parametrize("kind", FINITE)
def test_a_loader_that_tells_its_length_is_explained(kind, model, images, expected):
    explainer = tfcam.GradCAM(model)
    same(explainer.explain(FINITE[kind](images, LABELS)), expected)
    same(np.concatenate([maps for *_, maps in explainer.stream(FINITE[kind](images, LABELS))]), expected)


def test_metrics_and_comparisons_take_a_loader(model, images, expected):
    maps = tfcam.compare(model, Pieces(images, LABELS), methods=["grad-cam"])["grad-cam"]
    same(maps, expected)
    deletion = [
        tfcam.metrics.Deletion(model, *given).evaluate(expected)
        for given in ((Pieces(images, LABELS),), (images, LABELS))
    ]
    assert deletion[0] == pytest.approx(deletion[1], rel=1e-4)


def endless_generator(images):
    while True:
        yield images, LABELS


ENDLESS = {
    "a generator without end": endless_generator,
    "itertools.cycle": lambda images: itertools.cycle([(images, LABELS)]),
    "itertools.repeat": lambda images: map(tuple, itertools.repeat([images, LABELS])),
    "a PyDataset without end": lambda images: Whole(images, LABELS, endless=True),
    "a generator with an end": lambda images: ((images, LABELS) for _ in range(3)),
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_what_may_never_end_is_refused_and_streamed(kind, model, images, expected):
    explainer = tfcam.GradCAM(model)
    refused = r"does not tell its length.*explainer\.stream\(loader\).*explain\(x, y\)"
    for call in (explainer.explain, explainer.effective_fields, lambda x: tfcam.compare(model, x)):
        with pytest.raises(ValueError, match=refused):
            call(ENDLESS[kind](images))
    x, _, maps = next(explainer.stream(ENDLESS[kind](images)))
    same(maps, expected)
    np.testing.assert_array_equal(x, images)
    same(explainer.explain(x, LABELS), expected)


def test_single_images_are_streamed_in_batches(model, images, expected):
    found = list(tfcam.GradCAM(model, batch_size=2).stream(zip(images, LABELS, strict=True)))
    assert [len(maps) for *_, maps in found] == [2, 2, 1]
    same(np.concatenate([maps for *_, maps in found]), expected)


def test_a_loader_of_nothing_is_empty(model, images):
    with pytest.raises(ValueError, match="dataset is empty"):
        tfcam.GradCAM(model).explain(Pieces(images[:0], LABELS[:0]))


@pytest.mark.parametrize("kind", ["built", "not built"])
def test_a_mapped_dataset_without_images_is_empty(kind, model, images):
    if kind == "not built":
        model = keras.Sequential([keras.layers.Conv2D(3, 3), keras.layers.Flatten(), keras.layers.Dense(4)])
    dataset, explainer = tf.data.Dataset.from_tensor_slices((images, LABELS)).batch(2), tfcam.GradCAM(model)
    with pytest.raises(ValueError, match="dataset is empty: there is no image"):
        explainer.map(dataset.take(0))
    # How long a filtered dataset is, only reading it tells.
    nothing = dataset.filter(lambda x, y: False)
    if kind == "built":
        assert len(list(explainer.map(nothing))) == 0
    else:
        with pytest.raises(ValueError, match="dataset is empty: there is no image"):
            explainer.map(nothing)


@pytest.mark.parametrize("call", ["explain_classes", "explain_top", "map"])
def test_calls_that_take_no_loader_name_what_they_take(call, model, images):
    argument = {"explain_classes": ([0, 1],)}.get(call, ())
    with pytest.raises(TypeError, match=r"takes arrays, not a dataset|map takes a tf\.data\.Dataset, got a Loader"):
        getattr(tfcam.GradCAM(model), call)(Loader(images, LABELS), *argument)
