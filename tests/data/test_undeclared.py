"""Models that declare no inputs: what their first batch shows."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from model_rows import Subclassed, parts, pixels
from oracle import ORACLES, activations_and_gradients, close, same
from small_models import LABELS, ONE_HOT

import tfcam

L = keras.layers


class Pooled(keras.Model):
    """A model of images of any size, which is never told of any."""

    def __init__(self):
        super().__init__()
        self.conv, self.dense = L.Conv2D(4, 3, activation="relu"), L.Dense(4)

    def call(self, inputs):
        return self.dense(tf.reduce_mean(self.conv(inputs), [1, 2]))


class FromBytes(Pooled):
    """A model that turns integers into floats in [0, 1], and leaves floats as they are."""

    def call(self, inputs):
        return super().call(tf.image.convert_image_dtype(inputs, tf.float32))


@pytest.mark.parametrize("built", [True, False])
@pytest.mark.parametrize("dtype", ["uint8", "int32"])
def test_integers_stay_integers_for_a_model_that_tells_them_from_floats(built, dtype):
    images = np.random.default_rng(0).integers(0, 100, (5, 16, 12, 3)).astype(dtype)
    model = FromBytes()
    if built:
        model(images)
    maps = tfcam.GradCAM(model).explain(images, LABELS, resize=False)[..., 0]
    floats = tf.image.convert_image_dtype(images, tf.float32)

    def head(activations):
        return model.dense(tf.reduce_mean(activations, [1, 2]))

    close(maps, ORACLES["grad-cam"](*activations_and_gradients(model.conv, head, floats, ONE_HOT)))


def test_integers_become_floats_for_a_model_that_runs_on_floats_only():
    images = np.random.default_rng(0).integers(0, 255, (5, 16, 12, 3)).astype("uint8")
    model = Pooled()
    explainer = tfcam.GradCAM(model, batch_size=2)
    expected = tfcam.GradCAM(model).explain(images.astype("float32"), LABELS)
    same(explainer.explain(images, LABELS), expected)
    batches = tf.data.Dataset.from_tensor_slices((images, LABELS)).batch(2)
    for dtype in ("uint8", "int64", "float64", "float16"):
        same(explainer.explain(images.astype(dtype), LABELS), expected)
        same(explainer.explain(batches.map(lambda x, y, dtype=dtype: (tf.cast(x, dtype), y))), expected)
    assert explainer.trace_count == 1
    assert sum(len(maps) for _, _, maps in tfcam.GradCAM(model).map(batches)) == 5


@pytest.mark.parametrize("built", [True, False])
def test_an_unbatched_dataset_is_batched(images, built):
    body, head = parts()
    model = Subclassed(body, head)
    if built:
        model(images)
    dataset = tf.data.Dataset.from_tensor_slices((images, LABELS))
    explainer = tfcam.GradCAM(model, batch_size=2)
    maps = explainer.explain(dataset)
    same(maps, tfcam.GradCAM(model).explain(images, LABELS))
    assert [len(x) for x, _, _ in explainer.stream(dataset)] == [2, 2, 1]
    assert sum(len(maps) for _, _, maps in tfcam.GradCAM(model, batch_size=2).map(dataset)) == 5


def test_a_batched_dataset_keeps_its_batches(images):
    dataset = tf.data.Dataset.from_tensor_slices((images, LABELS)).batch(3)
    explainer = tfcam.GradCAM(Pooled())
    assert [len(x) for x, _, _ in explainer.stream(dataset)] == [3, 2]


@pytest.mark.parametrize("seen", [False, True])
def test_one_image_says_that_it_lacks_a_batch_axis(images, seen):
    explainer = tfcam.GradCAM(Pooled())
    if seen:
        explainer.explain(images, 1)
    with pytest.raises(ValueError, match=r"'pooled.*\(16, 12, 3\).*add a batch axis, images\[None\]"):
        explainer.explain(images[0], 1)
    assert explainer.explain(images[0][None], 1).shape == (1, 16, 12, 1)


@pytest.mark.parametrize("seen", [False, True])
def test_a_batch_that_the_model_does_not_run_on_says_why(images, seen):
    explainer = tfcam.GradCAM(Pooled())
    if seen:
        explainer.explain(images, 1)
    with pytest.raises(ValueError, match=r"cannot be run on a batch of shape \(5, 2\).*It said: ValueError"):
        explainer.explain(images[:, 0, 0, :2], 1)
    with pytest.raises(ValueError, match=r"(?s)cannot be run on a batch of shape \(5, 16, 12, 3\).*It said"):
        explainer.explain({"image": images}, 1)
    assert explainer.explain(images, 1).shape == (5, 16, 12, 1)


def test_images_of_any_size_share_one_trace():
    explainer = tfcam.GradCAM(Pooled())
    for size in (10, 12, 14, 16, 10):
        images = pixels(2, size, size + 1, 3)
        same(explainer.explain(images, 1), tfcam.GradCAM(explainer.model).explain(images, 1))
    assert explainer.trace_count == 2


class AtItsOwnSize(Pooled):
    """A model that needs to know the size of its images while it is traced."""

    def call(self, inputs):
        half = [inputs.shape[1] // 2, inputs.shape[2] // 2]
        return super().call(tf.image.resize(inputs, half))


@keras.saving.register_keras_serializable("tfcam_tests")
class Halved(L.Layer):
    """A layer that Keras calls for one size alone, though the model takes any."""

    def compute_output_shape(self, shape):
        return (shape[0], None, None, shape[-1])

    def call(self, inputs):
        return tf.image.resize(inputs, [inputs.shape[1] // 2, inputs.shape[2] // 2])


def halving():
    inputs = keras.Input((None, None, 3))
    coarse = L.Conv2D(4, 3, padding="same", activation="relu", name="coarse")(Halved()(inputs))
    return keras.Model(inputs, L.Dense(4)(L.GlobalAveragePooling2D()(coarse)))


def test_a_model_of_any_size_that_keras_traces_for_one_size_alone_is_explained():
    model = halving()
    explainer = tfcam.GradCAM(model, batch_size=2)
    assert explainer.conv_layer is None
    for height, width in ((10, 12), (14, 8), (10, 12)):
        images = pixels(3, height, width, 3)
        maps = explainer.explain(images, 1)
        fixed = keras.models.clone_model(model, input_tensors=keras.Input((height, width, 3)))
        fixed.set_weights(model.get_weights())
        same(maps, tfcam.GradCAM(fixed).explain(images, 1))
    assert explainer.trace_count == 2 and explainer.conv_layer == "coarse"
    dataset = tf.data.Dataset.from_tensor_slices(pixels(3, 10, 12, 3))
    assert sum(len(maps) for _, _, maps in explainer.map(dataset)) == 3
    with pytest.raises(ValueError, match=r"(?s)cannot be traced for batches of any size.*list_layers\(model, inputs\)"):
        tfcam.list_layers(model)
    assert [info.path for info in tfcam.list_layers(model, pixels(1, 10, 12, 3)) if info.default] == ["coarse"]


def test_a_model_that_must_know_the_size_is_traced_for_each():
    explainer = tfcam.GradCAM(AtItsOwnSize())
    for size in (10, 12, 14, 10):
        images = pixels(2, size, size, 3)
        same(explainer.explain(images, 1), tfcam.GradCAM(explainer.model).explain(images, 1))
    assert explainer.trace_count == 3


def nested(package, layers):
    class Nested(package.Model):
        def __init__(self):
            super().__init__()
            self.net = package.Sequential(layers)

        def call(self, inputs):
            return self.net(inputs)

    return Nested()


@pytest.mark.parametrize("make", [lambda package, layers: package.Sequential(layers), nested], ids=["alone", "nested"])
@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("package", ["keras", "tf_keras"])
def test_a_sequential_that_first_sees_bytes_is_built_for_floats(package, scaled, make):
    package = pytest.importorskip(package)
    layers = package.layers
    before = [layers.Rescaling(1 / 255)] if scaled else []
    after = [layers.Conv2D(4, 3, activation="relu"), layers.GlobalAveragePooling2D(), layers.Dense(4)]
    model = make(package, [*before, *after])
    images = np.random.default_rng(0).integers(0, 256, (5, 16, 12, 3)).astype("uint8")
    maps = tfcam.GradCAM(model, batch_size=2).explain(images, LABELS)
    close(maps, tfcam.GradCAM(model).explain(images.astype("float32"), LABELS))
    model.compile("sgd", "mse")
    model.fit(images / np.float32(255), ONE_HOT, verbose=0)


class Captioned(Pooled):
    """A model of images and of a word beside each."""

    def __init__(self):
        super().__init__()
        self.word = L.StringLookup(vocabulary=["cat", "dog"], output_mode="one_hot")

    def call(self, inputs):
        features = tf.reduce_mean(self.conv(inputs["image"]), [1, 2])
        return self.dense(tf.concat([features, tf.cast(self.word(inputs["word"]), tf.float32)], -1))


def test_words_beside_images_stay_words(images):
    inputs = {"image": images, "word": tf.constant([["cat"], ["dog"], ["cow"], ["cat"], ["dog"]])}
    model = Captioned()
    maps = tfcam.GradCAM(model).explain(inputs, LABELS, resize=False)
    words = tf.cast(model.word(inputs["word"]), tf.float32)

    def head(activations):
        return model.dense(tf.concat([tf.reduce_mean(activations, [1, 2]), words], -1))

    close(maps[..., 0], ORACLES["grad-cam"](*activations_and_gradients(model.conv, head, images, ONE_HOT)))
    dataset = tf.data.Dataset.from_tensor_slices((inputs, LABELS))
    for one in (dataset, dataset.batch(2)):
        same(tfcam.GradCAM(model).explain(one, resize=False), maps)
        same(tfcam.GradCAM(Captioned()).explain(one).shape, (5, 16, 12, 1))


@pytest.mark.parametrize("given", ["cat.jpg", ["cat.jpg", "dog.jpg"]])
def test_names_of_files_are_no_images(given):
    with pytest.raises(
        (TypeError, ValueError), match=r"got the path|must be numeric|cannot be run on a batch of shape \(2,\)"
    ):
        tfcam.GradCAM(Pooled()).explain(given)
