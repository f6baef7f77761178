"""Strides and receptive fields: what changes where one cell of the input does."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from model_rows import chain

import tfcam

L = keras.layers


def measured(model, grid, last):
    """Return receptive field and stride of a layer, from what each single cell of the input changes.

    All kernels are made positive, so that nothing cancels.
    """
    for weight in model.trainable_weights:
        if "kernel" in weight.path:
            weight.assign(1.0 + np.random.default_rng(0).uniform(size=weight.shape))
    part = keras.Model(model.inputs, last)
    cells = int(np.prod(grid))
    images = np.full((cells, cells, model.inputs[0].shape[-1]), 1.0, "float32")
    images[np.arange(cells), np.arange(cells)] += 5.0
    images = images.reshape(cells, *grid, -1)
    base = part(np.ones((1, *images.shape[1:]), "float32")).numpy()
    changed = np.abs(part.predict(images, verbose=0, batch_size=64) - base).max(-1) > 1e-3 * np.abs(base).max(-1)
    changed = changed.reshape(*grid, *changed.shape[1:])
    sizes, strides = [], []
    for axis in range(len(grid)):
        others = [a for a in range(2 * len(grid)) if a not in (axis, axis + len(grid))]
        seen = changed.any(axis=tuple(others))
        spans = [(np.flatnonzero(column).min(), np.flatnonzero(column).max()) for column in seen.T if column.any()]
        sizes.append(int(max(high - low + 1 for low, high in spans)))
        inner = [low for low, high in spans if low > 0 and high < grid[axis] - 1]
        strides.append(float(inner[-1] - inner[0]) / (len(inner) - 1))
    return tuple(sizes), tuple(strides)


def residual(x):
    return L.Add()([x, L.Conv2D(2, 3, padding="same")(L.Conv2D(2, 3, padding="same", activation="relu")(x))])


def gated(x):
    return L.Multiply()([x, L.Dense(2, activation="sigmoid")(L.GlobalAveragePooling2D(keepdims=True)(x))])


def layers_of(case):
    return {
        "convolution": lambda: [L.Conv2D(2, 3)],
        "a kernel of unequal sides": lambda: [L.Conv2D(2, (1, 5))],
        "strides": lambda: [L.Conv2D(2, 3, strides=2), L.Conv2D(2, 3, strides=(1, 2), padding="same")],
        "dilation": lambda: [L.Conv2D(2, 3), L.Conv2D(2, 3, dilation_rate=2)],
        "pooling": lambda: [L.Conv2D(2, 3), L.MaxPooling2D(), L.Conv2D(2, 3), L.AveragePooling2D(3, 2)],
        "separable": lambda: [L.SeparableConv2D(2, 3, strides=2), L.DepthwiseConv2D(3)],
        "grouped": lambda: [L.Conv2D(2, 3), L.Conv2D(2, 3, groups=2, strides=2)],
        "residual": lambda: [L.Conv2D(2, 3), residual, residual],
        "transposed": lambda: [L.Conv2D(2, 3, strides=2), L.Conv2DTranspose(2, 3, strides=2)],
        "upsampled": lambda: [L.Conv2D(2, 3, strides=2), L.UpSampling2D(2), L.Conv2D(2, 3)],
        "normalised": lambda: [L.Conv2D(2, 3), L.BatchNormalization(), L.PReLU(shared_axes=[1, 2]), L.Conv2D(2, 3)],
        "pointwise by Dense": lambda: [L.Conv2D(2, 3), L.Dense(2, activation="gelu"), L.Conv2D(2, 3)],
        "padded and cropped": lambda: [L.ZeroPadding2D(2), L.Conv2D(2, 5), L.Cropping2D(1), L.Conv2D(2, 3)],
    }[case]()


CASES = [
    *("convolution", "a kernel of unequal sides", "strides", "dilation", "pooling", "separable", "grouped", "residual"),
    *("transposed", "upsampled", "normalised", "pointwise by Dense", "padded and cropped"),
]


@pytest.mark.parametrize("case", CASES)
def test_field_and_stride_are_those_that_single_cells_show(case):
    inputs = keras.Input((24, 23, 1))
    last = chain(*layers_of(case))(inputs)
    model = keras.Model(inputs, L.Dense(2)(L.GlobalAveragePooling2D()(last)))
    info = [info for info in tfcam.list_layers(model) if info.shape[1:] == tuple(last.shape[1:])][-1]
    size, stride = measured(model, (24, 23), last)
    assert info.receptive_field == size
    np.testing.assert_allclose(info.stride, stride, atol=0.2)


@pytest.mark.parametrize("rank", [1, 3])
def test_series_and_volumes_have_them_too(rank):
    convolution, pool = {1: (L.Conv1D, L.GlobalAveragePooling1D), 3: (L.Conv3D, L.GlobalAveragePooling3D)}[rank]
    grid = {1: (40,), 3: (9, 9, 10)}[rank]
    inputs = keras.Input((*grid, 1))
    last = convolution(2, 3, strides=2)(convolution(2, 2)(inputs))
    model = keras.Model(inputs, L.Dense(2)(pool()(last)))
    info = tfcam.list_layers(model)[-1]
    assert (info.receptive_field, info.stride) == measured(model, grid, last)


def test_channels_first_have_them_too():
    first = {"data_format": "channels_first"}
    inputs = keras.Input((1, 24, 23))
    x = L.Conv2D(2, 3, **first)(L.Conv2D(2, 3, strides=(2, 1), **first)(inputs))
    x = L.Conv2D(2, 3)(L.Permute((2, 3, 1))(x))
    info = tfcam.list_layers(keras.Model(inputs, L.Dense(2)(L.GlobalAveragePooling2D()(x))))[-1]
    assert (info.receptive_field, info.stride) == ((11, 7), (2, 1))


def test_a_gate_that_sees_all_is_not_counted():
    inputs = keras.Input((24, 23, 1))
    model = keras.Model(inputs, L.Dense(2)(L.GlobalAveragePooling2D()(gated(L.Conv2D(2, 3)(inputs)))))
    assert [info.receptive_field for info in tfcam.list_layers(model)] == [(3, 3), (3, 3)]


def flattened(x):
    return L.Reshape((4, 4, 2))(L.Dense(32)(L.Flatten()(x)))


def attention(x):
    return L.Reshape((24, 23, 2))(L.Attention()([L.Reshape((552, 2))(x)] * 2))


def mixer(x):
    tokens = L.Permute((2, 1))(L.Dense(552)(L.Permute((2, 1))(L.Reshape((552, 2))(x))))
    return L.Reshape((24, 23, 2))(tokens)


def transformer(x):
    tokens = L.Reshape((552, 2))(x)
    return L.Reshape((24, 23, 2))(L.Add()([tokens, L.Attention()([tokens, tokens])]))


def mixer_block(x):
    return L.Add()([x, mixer(x)])


def filtered(x):
    everything = L.Reshape((24, 23, 2))(L.Dense(24 * 23 * 2)(L.Flatten()(x)))
    return L.Add()([x, L.Conv2D(2, 3, padding="same")(everything)])


@pytest.mark.parametrize("mixing", [attention, transformer, mixer_block, filtered])
def test_what_sees_everything_has_none(mixing):
    inputs = keras.Input((24, 23, 1))
    x = mixing(L.Conv2D(2, 3, padding="same")(inputs))
    model = keras.Model(inputs, L.Dense(2)(L.Flatten()(L.Conv2D(2, 3)(x))))
    infos = tfcam.list_layers(model)
    assert infos[0].receptive_field == (3, 3)
    assert infos[-1].receptive_field is None and infos[-1].stride is None


@pytest.mark.parametrize("mixing", [flattened, mixer])
def test_what_a_dense_layer_makes_of_all_cells_is_no_grid_of_the_input(mixing):
    inputs = keras.Input((24, 23, 1))
    x = mixing(L.Conv2D(2, 3, padding="same", name="first")(inputs))
    model = keras.Model(inputs, L.Dense(2)(L.Flatten()(L.Conv2D(2, 3)(x))))
    names = [layer.name for layer in model.layers]
    before = names[: [isinstance(layer, L.Dense) for layer in model.layers].index(True)]
    assert {"first"} <= {info.path for info in tfcam.list_layers(model)} <= set(before)


# Araujo, Norris & Sim, "Computing Receptive Fields of Convolutional Neural Networks" (2019), table 1.
KNOWN = {"VGG16": ("block5_conv3", 196, 16), "ResNet50": ("conv5_block3_out", 483, 32), "MobileNet": (None, 315, 32)}


@pytest.mark.parametrize("name", KNOWN)
def test_known_networks_have_the_fields_of_the_literature(name):
    path, size, stride = KNOWN[name]
    infos = tfcam.list_layers(getattr(keras.applications, name)(weights=None))
    [info] = [info for info in infos if info.default]
    assert path in (None, info.path)
    assert info.receptive_field == (size, size) and info.stride == (stride, stride)


def test_the_default_says_why_it_is():
    inputs = keras.Input((None, None, 3))
    x = L.Conv2D(4, 3, padding="same", name="fine")(inputs)
    x = L.Conv2D(4, 3, strides=2, padding="same", name="coarse")(x)
    masks = L.Conv2D(2, 1, name="masks")(L.Conv2DTranspose(4, 2, strides=2)(x))
    reasons = {info.path: info.reason for info in tfcam.list_layers(keras.Model(inputs, masks)) if info.default}
    assert list(reasons) == ["coarse"] and "coarsest grid" in reasons["coarse"]
    classes = keras.Model(inputs, L.Dense(2)(L.GlobalAveragePooling2D()(x)))
    reasons = {info.path: info.reason for info in tfcam.list_layers(classes)}
    assert reasons == {"fine": "", "coarse": "the last activation with a grid on the way to the output"}


def test_sensors_and_flat_pixels_have_the_field_of_their_grid():
    model = keras.Sequential(
        [keras.Input((28 * 28,)), L.Reshape((28, 28, 1)), L.Conv2D(4, 3, strides=2), L.Flatten(), L.Dense(2)]
    )
    info = tfcam.list_layers(model)[-1]
    assert info.receptive_field == (3, 3) and info.stride == (2, 2)
    words = keras.Sequential(
        [keras.Input((None,), dtype="int32"), L.Embedding(9, 4), L.Conv1D(4, 5), L.GlobalMaxPooling1D(), L.Dense(2)]
    )
    assert [info.receptive_field for info in tfcam.list_layers(words)] == [(1,), (5,)]


class Spectrogram(L.Layer):
    def call(self, sound):
        return tf.abs(tf.signal.stft(sound, 128, 64))[..., None]


def test_what_sees_a_spectrogram_has_the_field_of_its_frames():
    model = keras.Sequential(
        [keras.Input((2048,)), Spectrogram(), L.Conv2D(4, 3, strides=2), L.GlobalAveragePooling2D(), L.Dense(2)]
    )
    frames, info = tfcam.list_layers(model)
    assert (frames.receptive_field, frames.stride, frames.centre) == ((128,), (64,), ((63.5, 63.5),))
    # Three frames of 128 samples, 64 apart.
    assert (info.receptive_field, info.stride, info.centre) == ((256,), (128,), ((127.5, 127.5),))
    assert info.grid == (15, 32) and info.patch((2, 30)) == (slice(256, 512),)
    sounds = np.random.default_rng(0).normal(size=(2, 2048)).astype("float32")
    explainer = tfcam.GradCAM(model)
    placed = explainer.explain(sounds, 0, resize="aligned", align=(127.5, 128))
    np.testing.assert_allclose(
        explainer.explain(sounds, 0, resize="aligned")[:, 128:-128], placed[:, 128:-128], atol=1e-6
    )


def test_legacy_models_have_them_too():
    tf_keras = pytest.importorskip("tf_keras")
    layers = tf_keras.layers
    model = tf_keras.Sequential(
        [layers.Input((24, 23, 1)), layers.Conv2D(2, 3, strides=2), layers.MaxPooling2D(), layers.Flatten()]
    )
    assert [info.receptive_field for info in tfcam.list_layers(model)] == [(3, 3), (5, 5)]
    assert tf.nest.flatten([info.stride for info in tfcam.list_layers(model)]) == [2, 2, 4, 4]
    assert [info.centre[0] for info in tfcam.list_layers(model)] == [(1, 1), (2, 2)]


@pytest.mark.parametrize(("order", "field"), [((1, 2, 3), (5, 5)), ((3, 1, 2), None)], ids=["of channels", "of a row"])
def test_a_softmax_keeps_cells_apart_where_it_is_one_of_channels(order, field):
    """TensorFlow takes it over the last axis, which of channels in front is one of the grid."""
    back = (1, 2, 3) if field else (2, 3, 1)
    layers = [L.Conv2D(4, 3), L.Permute(order), L.Softmax(), L.Permute(back), L.Conv2D(4, 3)]
    model = keras.Sequential([keras.Input((12, 12, 3)), *layers, L.GlobalAveragePooling2D(), L.Dense(2)])
    assert tfcam.list_layers(model)[-1].receptive_field == field
