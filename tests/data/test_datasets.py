"""Datasets in `explain`, `stream` and `map`."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from oracle import same
from small_models import LABELS, ONE_HOT

import tfcam

DATASETS = {
    "pairs, one by one": lambda x, y: tf.data.Dataset.from_tensor_slices((x, y)),
    "pairs, batched": lambda x, y: tf.data.Dataset.from_tensor_slices((x, y)).batch(2),
    "batches larger than batch_size": lambda x, y: tf.data.Dataset.from_tensor_slices((x, y)).batch(5),
    "one-hot": lambda x, y: tf.data.Dataset.from_tensor_slices((x, np.eye(4)[y])).batch(2),
    "with weights": lambda x, y: tf.data.Dataset.from_tensor_slices((x, y, np.ones(5))).batch(2),
    "of unknown length": lambda x, y: tf.data.Dataset.from_tensor_slices((x, y)).filter(lambda *_: True).batch(2),
    "from a generator": lambda x, y: tf.data.Dataset.from_generator(
        lambda: zip(x, y, strict=True), output_signature=(tf.TensorSpec((16, 12, 3)), tf.TensorSpec((), tf.int64))
    ),
}


@pytest.mark.parametrize("kind", DATASETS)
def test_a_dataset_gives_the_maps_of_its_arrays(model, images, expected, kind):
    explainer = tfcam.GradCAM(model, batch_size=3)
    same(explainer.explain(DATASETS[kind](images, LABELS)), expected)
    assert explainer.trace_count == 1


@pytest.mark.parametrize("kind", DATASETS)
@pytest.mark.parametrize("call", ["stream", "map"])
def test_a_dataset_is_streamed_and_mapped_to_the_maps_of_its_arrays(model, images, expected, kind, call):
    batches = getattr(tfcam.GradCAM(model, batch_size=3), call)(DATASETS[kind](images, LABELS))
    inputs, targets, maps = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    same(inputs, images)
    same(targets, ONE_HOT)
    same(maps, expected)


def test_a_dataset_of_fewer_images_than_it_says_gives_a_map_for_each(model, images, expected):
    dataset = tf.data.Dataset.from_tensor_slices((images, LABELS)).batch(2)
    assert_longer = dataset.apply(tf.data.experimental.assert_cardinality(3)).unbatch()
    same(tfcam.GradCAM(model, batch_size=2).explain(assert_longer), expected)
    endless = tf.data.Dataset.from_tensor_slices((images, LABELS)).repeat().take(7)
    assert tfcam.GradCAM(model, batch_size=3).explain(endless).shape[0] == 7


def test_maps_of_many_megabytes_are_those_of_the_stream():
    inputs = keras.Input((512, 512, 1))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(2, 3, 16, activation="relu")(inputs))
    explainer = tfcam.GradCAM(keras.Model(inputs, keras.layers.Dense(2)(x)), batch_size=16)
    image = tf.random.stateless_uniform((512, 512, 1), seed=(0, 1))
    dataset = tf.data.Dataset.range(150).map(lambda i: image * tf.cast(i, tf.float32)).batch(16)
    maps = explainer.explain(dataset)
    assert maps.shape == (150, 512, 512, 1)
    for index, (_, _, batch) in enumerate(explainer.stream(dataset)):
        same(maps[16 * index : 16 * index + 16], batch)


def test_images_of_different_sizes_are_streamed_but_not_stacked():
    inputs = keras.Input((None, None, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(3, 3)(inputs))
    explainer = tfcam.GradCAM(keras.Model(inputs, keras.layers.Dense(2)(x)))
    sizes = [(8, 9), (12, 7)]
    dataset = tf.data.Dataset.from_generator(
        lambda: (np.zeros((1, *size, 3)) for size in sizes), output_signature=tf.TensorSpec((1, None, None, 3))
    )
    assert [maps.shape[1:3] for _, _, maps in explainer.stream(dataset)] == sizes
    with pytest.raises(ValueError, match=r"different sizes.*stream"):
        explainer.explain(dataset)


def test_a_dataset_of_images_alone_gives_the_predicted_class(model, images):
    explainer = tfcam.GradCAM(model)
    same(explainer.explain(tf.data.Dataset.from_tensor_slices(images).batch(2)), explainer.explain(images))


def test_a_stream_gives_inputs_targets_and_maps_batch_by_batch(model, images, expected):
    parts = list(tfcam.GradCAM(model, batch_size=2).stream(tf.data.Dataset.from_tensor_slices((images, LABELS))))
    assert [len(x) for x, _, _ in parts] == [2, 2, 1]
    same(np.concatenate([y for _, y, _ in parts]), ONE_HOT)
    same(np.concatenate([maps for _, _, maps in parts]), expected)


@pytest.mark.parametrize("kind", ["arrays", "pairs, one by one", "pairs, batched"])
def test_without_a_batch_size_all_images_are_computed_at_once(model, images, expected, kind):
    inputs = (images, LABELS) if kind == "arrays" else (DATASETS[kind](images, LABELS),)
    explainer = tfcam.GradCAM(model, batch_size=None)
    same(explainer.explain(*inputs), expected)
    sizes = [len(x) for x, _, _ in explainer.stream(*inputs)]
    assert sizes == ([2, 2, 1] if kind == "pairs, batched" else [5])
    if kind != "arrays":
        mapped = explainer.map(*inputs)
        assert [len(x) for x, _, _ in mapped] == sizes


def test_a_mapped_dataset_goes_on_in_a_pipeline(model, images, expected):
    mapped = tfcam.GradCAM(model, batch_size=2).map(tf.data.Dataset.from_tensor_slices((images, LABELS)))
    assert mapped.element_spec[2].shape.as_list() == [None, 16, 12, 1]
    for _ in range(2):
        same(np.stack(list(mapped.unbatch().map(lambda x, y, heatmap: heatmap).as_numpy_iterator())), expected)


def test_an_endless_dataset_is_refused_and_streamed(model, images, expected):
    endless = tf.data.Dataset.from_tensor_slices((images, LABELS)).batch(5).repeat()
    explainer = tfcam.GradCAM(model)
    with pytest.raises(ValueError, match=r"never ends.*repeat\(\).*dataset\.take\(n\).*stream"):
        explainer.explain(endless)
    same(explainer.explain(endless.take(1)), expected)
    same(next(explainer.stream(endless))[2], expected)
    same(next(iter(explainer.map(endless)))[2], expected)


def test_images_of_different_sizes_one_by_one_are_streamed_in_batches_of_one_size():
    inputs = keras.Input((None, None, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(3, 3)(inputs))
    explainer = tfcam.GradCAM(keras.Model(inputs, keras.layers.Dense(2)(x)), batch_size=2)
    sizes = [(8, 9), (8, 9), (8, 9), (12, 7), (8, 9)]
    images = [np.random.default_rng(i).uniform(size=(*size, 3)) for i, size in enumerate(sizes)]
    dataset = tf.data.Dataset.from_generator(
        lambda: ((image, i % 2) for i, image in enumerate(images)),
        output_signature=(tf.TensorSpec((None, None, 3)), tf.TensorSpec((), tf.int32)),
    )
    maps = [maps for _, _, maps in explainer.stream(dataset)]
    assert [m.shape[:3] for m in maps] == [(2, 8, 9), (1, 8, 9), (1, 12, 7), (1, 8, 9)]
    for i, one in enumerate(m for batch in maps for m in batch):
        np.testing.assert_allclose(one[None], explainer.explain(images[i][None], i % 2), atol=1e-7)
    assert all(batch.numpy().max() > 0 for batch in maps[:2])
    assert [m.shape[:3] for _, _, m in explainer.map(dataset)] == [m.shape[:3] for m in maps]
    with pytest.raises(ValueError, match=r"different sizes.*stream"):
        explainer.explain(dataset)


def test_under_a_strategys_scope_maps_are_the_same(model, images, expected):
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        same(tfcam.GradCAM(model, batch_size=2).explain(images, LABELS), expected)


@pytest.mark.parametrize("call", ["explain", "explain_classes", "explain_top", "stream"])
def test_inside_a_tf_function_the_error_names_what_works_there(model, images, call):
    explainer = tfcam.GradCAM(model)
    arguments = {"explain": (0,), "explain_classes": ([0, 1],), "explain_top": (2,), "stream": (0,)}[call]

    def inside(x):
        result = getattr(explainer, call)(x, *arguments)
        return next(result) if call == "stream" else result

    with pytest.raises(TypeError, match=r"runs eagerly.*explainer\.map\(dataset\).*tf\.py_function"):
        tf.function(inside)(images)
    with pytest.raises(TypeError, match=r"runs eagerly.*explainer\.map\(dataset\)"):
        tf.data.Dataset.from_tensor_slices(images).batch(2).map(inside)


def test_what_that_error_names_works_there(model, images, expected):
    explainer = tfcam.GradCAM(model)

    @tf.function
    def inside(x, y):
        return tf.py_function(explainer.explain, (x, y), tf.float32)

    same(inside(images, LABELS), expected)
