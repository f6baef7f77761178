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
