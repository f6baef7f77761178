"""Where the grid of a map comes from, where the input has another shape than the layers."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from family_methods import Dimming
from model_rows import functional, parts, pixels
from oracle import ORACLES, activations_and_gradients, close
from small_models import LABELS, ONE_HOT

import tfcam
from tfcam.ops.resize import EvenMatrix, cubic, resized

L = keras.layers


class Spectrogram(L.Layer):
    def call(self, sound):
        return tf.abs(tf.signal.stft(sound, 64, 32))[..., None]


@pytest.fixture
def sound():
    return pixels(5, 640)


def test_a_map_of_a_sound_has_the_grid_of_its_spectrogram(sound):
    body, head = parts()
    spectrogram = Spectrogram()
    model = functional([spectrogram, *body, *head], (640,))
    explainer = tfcam.GradCAM(model)
    raw = explainer.explain(sound, LABELS, resize=False)[..., 0]
    behind = keras.Sequential(head)
    expected = ORACLES["grad-cam"](
        *activations_and_gradients(keras.Sequential(body), behind, spectrogram(sound), ONE_HOT)
    )
    close(raw, expected, tolerance=1e-4)
    # The frequencies have no place in the sound: they are summed.
    placed = resized(tf.constant(raw.numpy().sum(axis=2)), tf.zeros((5, 640)), EvenMatrix(cubic))
    close(explainer.explain(sound, LABELS)[..., 0], np.maximum(placed, 0))


@pytest.mark.parametrize("shape", [(640,), (640, 1)], ids=["samples", "samples with a channel"])
def test_a_sound_is_masked_by_its_times(shape):
    body, head = parts()
    model = functional([L.Reshape((640,)), Spectrogram(), *body, *head], shape)
    sounds = pixels(5, *shape)
    assert Dimming(model).explain(sounds, LABELS).shape == (5, 640, 1)
    assert tfcam.ScoreCAM(model).explain(sounds, LABELS).shape == (5, 640, 1)


class Backwards(L.Layer):
    def call(self, pixels):
        return pixels[:, ::-1]


def test_pixels_that_a_model_reverses_are_brought_back_in_order():
    body, head = parts()
    reverses = functional([Backwards(), L.Reshape((16, 12, 3)), *body, *head], (576,))
    in_order = functional([L.Reshape((16, 12, 3)), *body, *head], (576,))
    images = pixels(5, 576)
    for method in (Dimming, tfcam.GradCAM):
        backwards = method(in_order).explain(images[:, ::-1], LABELS)
        close(method(reverses).explain(images, LABELS), backwards[:, ::-1, ::-1])


def test_texts_of_any_length_have_a_map_of_their_words():
    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            L.Embedding(20, 4),
            L.Conv1D(4, 3, padding="same", activation="relu"),
            L.GlobalMaxPooling1D(),
            L.Dense(4),
        ]
    )
    explainer = tfcam.GradCAM(model)
    for length in (8, 13):
        words = np.random.default_rng(0).integers(0, 20, (5, length))
        assert explainer.explain(words, LABELS).shape == (5, length, 1)
    assert explainer.trace_count == 1


@pytest.mark.onednn
def test_images_of_channels_first_made_of_flat_pixels():
    model = keras.Sequential(
        [
            keras.Input((3 * 16 * 12,)),
            L.Reshape((3, 16, 12)),
            L.Conv2D(4, 3, data_format="channels_first", activation="relu"),
            L.Flatten(),
            L.Dense(4),
        ]
    )
    images = pixels(5, 3 * 16 * 12)
    assert tfcam.GradCAM(model).explain(images, LABELS).shape == (5, 16, 12, 1)
    assert Dimming(model).explain(images, LABELS).shape == (5, 16, 12, 1)


@pytest.mark.parametrize("expand", [lambda x: x[..., None], lambda x: tf.expand_dims(x, -1)], ids=["newaxis", "expand"])
def test_a_subclassed_model_may_add_the_channels_itself(expand):
    class Digits(keras.Model):
        def __init__(self):
            super().__init__()
            self.conv, self.flat, self.dense = L.Conv2D(4, 3), L.Flatten(), L.Dense(4)

        def call(self, inputs):
            return self.dense(self.flat(self.conv(expand(inputs / 255.0))))

    assert tfcam.GradCAM(Digits()).explain(255 * np.abs(pixels(5, 28, 28)), LABELS).shape == (5, 28, 28, 1)


def test_a_series_as_an_image_of_one_row_is_a_series():
    model = keras.Sequential(
        [
            keras.Input((32, 3)),
            L.Reshape((1, 32, 3)),
            L.Conv2D(4, (1, 3), activation="relu"),
            L.GlobalAveragePooling2D(),
            L.Dense(4),
        ]
    )
    assert tfcam.GradCAM(model).explain(pixels(5, 32, 3), LABELS).shape == (5, 32, 1)


def test_the_layer_before_the_reshape_has_the_grid_of_the_series():
    model = keras.Sequential(
        [
            keras.Input((16, 12)),
            L.Conv1D(12, 3, padding="same", name="series"),
            L.Reshape((16, 12, 1)),
            L.Conv2D(4, 3, activation="relu"),
            L.Flatten(),
            L.Dense(4),
        ]
    )
    series = pixels(5, 16, 12)
    assert tfcam.GradCAM(model, conv_layer="series").explain(series, LABELS).shape == (5, 16, 1)
    # The filters of the first layer are no variables of the series.
    assert tfcam.GradCAM(model).explain(series, LABELS).shape == (5, 16, 1)
    assert tfcam.GradCAM(model).explain(series, LABELS, resize=False).shape == (5, 14, 10, 1)


@pytest.mark.onednn
def test_a_film_seen_channels_first_has_a_map_of_its_frames():
    model = keras.Sequential(
        [
            keras.Input((4, 3, 16, 12)),
            L.ConvLSTM2D(4, 3, data_format="channels_first"),
            L.GlobalAveragePooling2D(data_format="channels_first"),
            L.Dense(4),
        ]
    )
    film = pixels(5, 4, 3, 16, 12)
    try:
        model(film[:1])
    except (tf.errors.OpError, NotImplementedError):
        pytest.skip("TensorFlow convolves channels first on GPUs only")
    assert tfcam.GradCAM(model).explain(film, LABELS).shape == (5, 16, 12, 1)
    assert Dimming(model).explain(film, LABELS).shape == (5, 16, 12, 1)


WAYS = {
    "a series": [L.Conv1D(4, 3, activation="relu")],
    "an image of one column": [L.Reshape((60, 1, 11)), L.Conv2D(4, (3, 1), activation="relu")],
    "an image of one row": [L.Reshape((1, 60, 11)), L.Conv2D(4, (1, 3), activation="relu")],
}


def test_one_series_has_one_map_however_a_model_writes_it():
    series, kernel, maps = pixels(5, 60, 11), pixels(3, 11, 4), []
    for layers in WAYS.values():
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((60, 11)), *layers, L.Flatten(), L.Dense(4)])
        layers[-1].kernel.assign(kernel.reshape(layers[-1].kernel.shape))
        maps.append(tfcam.GradCAM(model).explain(series, LABELS))
    assert maps[0].shape == (5, 60, 1)
    for one in maps[1:]:
        close(one, maps[0])


@pytest.mark.parametrize("order", [(2, 1, 3), (2, 3, 1), (3, 1, 2), (3, 2, 1)])
def test_a_permuted_image_is_permuted_back(order):
    """The bright object lies at rows 2 to 4, and columns 20 to 25."""
    images = np.zeros((1, 20, 30, 1), "float32")
    images[:, 2:5, 20:26] = 1.0
    channels, positive = order.index(3), {"kernel_initializer": "ones"}
    to_the_end = L.Permute([1 + axis for axis in range(3) if axis != channels] + [1 + channels])
    layers = [L.Permute(order), to_the_end, L.Conv2D(1, 3, padding="same", **positive), L.GlobalAveragePooling2D()]
    model = keras.Sequential([keras.Input((20, 30, 1)), *layers, L.Dense(2, **positive)])
    heatmap = tfcam.GradCAM(model).explain(images, 0).numpy()[0, ..., 0]
    assert heatmap.shape == (20, 30)
    assert heatmap[1:6, 19:27].sum() > 0.99 * heatmap.sum() > 0


class Ordered(L.Layer):
    def call(self, x):
        order = tf.argsort(tf.reduce_sum(x, axis=-1), axis=1)
        return tf.gather(x, order, axis=1, batch_dims=1)


def test_a_layer_whose_place_was_lost_says_by_what():
    layers = [L.Conv1D(4, 3, name="before"), Ordered(), L.Conv1D(4, 3, name="behind"), L.Flatten(), L.Dense(4)]
    model = keras.Sequential([keras.Input((20, 3)), *layers])
    series, explainer = pixels(5, 20, 3), tfcam.GradCAM(model)
    assert explainer.conv_layer == "behind"
    with pytest.raises(
        ValueError, match=r"the model's operation '.*/ordered\w*/GatherV2' does not tell.*resize=False.*before that"
    ):
        explainer.explain(series, LABELS)
    assert explainer.explain(series, LABELS, resize=False).shape == (5, 16, 1)
    assert tfcam.GradCAM(model, conv_layer="before").explain(series, LABELS).shape == (5, 20, 1)
    with pytest.raises(ValueError, match=r"'behind', of several: .*GatherV2' does not tell"):
        tfcam.GradCAM(model, conv_layer=["before", "behind"])


def test_what_is_added_to_a_lost_place_is_not_what_lost_it():
    inputs = keras.Input((20, 3))
    x = L.Conv1D(4, 3, name="behind")(L.Add()([inputs, Ordered()(inputs)]))
    model = keras.Model(inputs, L.Dense(4)(L.GlobalAveragePooling1D()(x)))
    with pytest.raises(ValueError, match=r"'.*/ordered\w*/GatherV2' does not tell"):
        tfcam.GradCAM(model).explain(pixels(5, 20, 3), LABELS)


@pytest.mark.parametrize("length", [20, None])
def test_series_of_any_length_are_explained_in_frames(length):
    frames = L.Lambda(lambda x: tf.reshape(x, [tf.shape(x)[0], -1, 4 * 3]))
    layers = [frames, L.Conv1D(4, 3, padding="same", name="last"), L.GlobalAveragePooling1D(), L.Dense(4)]
    explainer = tfcam.GradCAM(keras.Sequential([keras.Input((length, 3)), *layers]))
    assert explainer.explain(pixels(5, 20, 3), LABELS).shape == (5, 5, 1)
    if length is None:
        assert explainer.explain(pixels(5, 24, 3), LABELS).shape == (5, 6, 1)


@pytest.mark.parametrize("count", [16, 256, 384])
def test_a_model_of_images_of_any_size_that_runs_on_one_alone_says_so(count):
    layers = [
        L.Conv2D(4, 3, padding="same", name="before"),
        L.Reshape((count, 4), name="tokens"),
        L.Conv1D(4, 3, name="behind"),
    ]
    model = keras.Sequential([keras.Input((None, None, 3)), *layers, L.GlobalAveragePooling1D(), L.Dense(4)])
    images = pixels(5, 4, count // 4, 3)
    with pytest.raises(ValueError, match=r"tokens.*does not tell which axes"):
        tfcam.GradCAM(model, conv_layer="behind").explain(images, LABELS)
    assert tfcam.GradCAM(model, conv_layer="before").explain(images, LABELS).shape == (5, 4, count // 4, 1)


def test_a_model_whose_convolutions_see_no_axis_of_the_input_says_where_they_end():
    layers = [L.Flatten(), L.Dense(128), L.Reshape((8, 8, 2)), L.Conv2D(3, 3, name="behind"), L.Flatten(), L.Dense(4)]
    with pytest.raises(ValueError, match=r"Behind '.*MatMul', no axis of 'behind' is one of an input"):
        tfcam.GradCAM(keras.Sequential([keras.Input((16, 12, 3)), *layers]))


def test_a_gate_that_a_pooling_of_everything_makes_leaves_the_grid(images):
    inputs = keras.Input((16, 12, 3))
    x = L.Conv2D(4, 3, padding="same")(inputs)
    gate = L.Conv2D(4, 1, activation="sigmoid")(L.AveragePooling2D((16, 12))(x))
    model = keras.Model(inputs, L.Dense(4)(L.GlobalAveragePooling2D()(L.Multiply(name="gated")([gate, x]))))
    [*_, info] = tfcam.list_layers(model)
    assert (info.path, info.grid, info.receptive_field, info.default) == ("gated", (16, 12), (3, 3), True)
    assert tfcam.GradCAM(model).explain(images, LABELS).shape == (5, 16, 12, 1)


def each_frame(length):
    keras.utils.set_random_seed(0)
    body = [L.Conv2D(4, 3, activation="relu", name="conv"), L.GlobalAveragePooling2D()]
    network = keras.Sequential([keras.Input((16, 12, 3)), *body], name="network")
    film = keras.Input((length, 16, 12, 3))
    frames = L.TimeDistributed(network, name="frames")(film)
    return keras.Model(film, L.Dense(4)(L.GRU(5)(frames)))


def test_films_of_any_length_have_the_map_of_films_of_one():
    film = pixels(5, 4, 16, 12, 3)
    fixed, of_any_length = (tfcam.XGradCAM(each_frame(length)) for length in (4, None))
    assert fixed.conv_layer == of_any_length.conv_layer == "frames/conv"
    for resize in (True, False, "aligned"):
        close(of_any_length.explain(film, LABELS, resize=resize), fixed.explain(film, LABELS, resize=resize))
    assert of_any_length.explain(film[:, :2], LABELS).shape == (5, 2, 16, 12, 1)
    assert of_any_length.trace_count == 3


def test_the_scores_of_masked_series_of_series_are_those_of_the_model():
    inputs = keras.Input((4, 7, 3))
    rows = L.TimeDistributed(L.GRU(5))(L.Masking()(inputs))
    model = keras.Model(inputs, L.Dense(4)(L.Flatten()(L.Conv1D(3, 2, activation="tanh", name="conv")(rows))))
    series = pixels(5, 4, 7, 3)
    series[:, :, 4:] = 0.0
    explainer = tfcam.GradCAM(model, conv_layer="conv")
    [(batch, _)] = explainer.session.batches(series)
    scores = explainer.session.compute(lambda run: run.scores(), batch, explainer.session.known.read(LABELS, 5))
    close(scores, model(series).numpy()[np.arange(5), LABELS])
    assert explainer.explain(series, LABELS).shape == (5, 4, 1)
