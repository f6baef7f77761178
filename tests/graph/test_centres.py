"""Where the cells of a layer look: the stated field of each cell is what its gradient reaches."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from model_rows import chain

import tfcam

L = keras.layers
FIRST = {"data_format": "channels_first"}


def shortcut(x):
    """Branches whose middles differ, as ResNets with one-sided padding have them."""
    return L.Add()([L.Conv2D(2, 1, strides=2, padding="same")(x), L.Conv2D(2, 3, strides=2, padding="same")(x)])


def branches(x):
    return L.Concatenate()([L.Conv2D(1, 1, padding="same")(x), L.Conv2D(2, (5, 1), padding="same")(x)])


def gated(x):
    return L.Multiply()([x, L.Dense(2, activation="sigmoid")(L.GlobalAveragePooling2D(keepdims=True)(x))])


class Sliced(L.Layer):
    def call(self, x):
        return x[:, 3::2, 1:-2]


class SlicedAtTheEnd(L.Layer):
    def call(self, x):
        return x[..., 4::2, :]


class Shuffled(L.Layer):
    def call(self, x):
        return tf.nn.depth_to_space(tf.nn.space_to_depth(x[:, :20, :20], 2)[..., ::-1], 2)


class Convolved(L.Layer):
    """A convolution of TensorFlow that pads by itself, each side by another number."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(3, 3, shape[-1], 2), name="kernel")

    def call(self, x):
        return tf.nn.conv2d(x, self.kernel, 2, [[0, 0], [0, 2], [2, 1], [0, 0]])


class Resized(L.Layer):
    def __init__(self, method, size=(37, 17)):
        super().__init__()
        self.method, self.size = method, size

    def call(self, x):
        return tf.image.resize(x, self.size, self.method)


def cases():
    same = {"padding": "same"}
    return {
        "convolution": [L.Conv2D(2, 3)],
        "unequal sides": [L.Conv2D(2, (1, 5), **same)],
        "even kernels": [L.Conv2D(2, 4, **same), L.Conv2D(2, 2, **same)],
        "strides, padded": [L.Conv2D(2, 3, strides=2, **same), L.Conv2D(2, 3, strides=(1, 2), **same)],
        "strides of 3": [L.Conv2D(2, 5, strides=3, **same), L.Conv2D(2, 2, strides=2, **same)],
        "padded by hand": [L.ZeroPadding2D(((0, 1), (2, 0))), L.Conv2D(2, 3, strides=2)],
        "padded by the operation": [Convolved(), Convolved()],
        "dilation": [L.Conv2D(2, 2), L.Conv2D(2, 2, dilation_rate=2), L.Conv2D(2, 3, dilation_rate=(1, 2), **same)],
        "pooling": [L.MaxPooling2D(), L.Conv2D(2, 3), L.AveragePooling2D(3, 2, **same)],
        "pooling, padded": [L.MaxPooling2D(3, 2, **same), L.AveragePooling2D(2, 3, **same)],
        "separable": [L.SeparableConv2D(2, 3, strides=2), L.DepthwiseConv2D(3, strides=2, **same)],
        "grouped": [L.Conv2D(2, 3), L.Conv2D(2, 3, groups=2, strides=2, **same)],
        "shortcut": [L.Conv2D(2, 3), shortcut, shortcut],
        "branches": [branches, L.Conv2D(2, 3)],
        "cropped": [L.Conv2D(2, 3, **same), L.Cropping2D(((3, 0), (1, 4)))],
        "sliced": [L.Conv2D(2, 3, **same), Sliced()],
        "sliced, as told from the end": [L.Conv2D(2, 3, **same), SlicedAtTheEnd()],
        "shuffled": [L.Conv2D(2, 3), Shuffled(), L.Conv2D(1, 3)],
        "transposed": [L.Conv2D(2, 3, strides=2, **same), L.Conv2DTranspose(2, 3, strides=2, **same)],
        "transposed, not padded": [L.Conv2D(2, 3, strides=3), L.Conv2DTranspose(2, 4, strides=2), L.Conv2D(2, 2)],
        "transposed with gaps": [L.Conv2D(2, 3, strides=2), L.Conv2DTranspose(2, 2, strides=3), L.Conv2D(2, 3)],
        "repeated": [L.Conv2D(2, 3, strides=2), L.UpSampling2D((2, 3)), L.Conv2D(2, 2)],
        "linear": [L.Conv2D(2, 3, strides=2), L.UpSampling2D(2, interpolation="bilinear"), L.Conv2D(2, 3)],
        "resized": [Resized("bilinear"), L.Conv2D(2, 3, strides=2)],
        "resized to the nearest": [Resized("nearest", (50, 17)), L.Conv2D(2, 3, strides=2)],
        "resized by a cubic": [L.Conv2D(2, 3, strides=2), Resized("bicubic"), L.Conv2D(2, 2)],
        "normalised": [L.Conv2D(2, 3, strides=2, **same), L.BatchNormalization(), L.PReLU(shared_axes=[1, 2])],
        "a Dense layer on each cell": [L.Conv2D(2, 3), L.Dense(2, activation="gelu"), L.Conv2D(2, 3, strides=2)],
    }


def reached(model, cells):
    """Return which pixels have a gradient, ``(cells, H, W)``, in any of some images: a maximum has it at one alone."""
    for weight in model.trainable_weights:
        if "kernel" in weight.path:
            weight.assign(0.2 + np.random.default_rng(0).uniform(size=weight.shape))
    found = np.zeros((len(cells), *model.input_shape[1:-1]), bool)
    for seed in range(25):
        images = np.random.default_rng(seed).uniform(1, 2, (len(cells), *model.input_shape[1:])).astype("float32")
        images = tf.constant(images)
        with tf.GradientTape() as tape:
            tape.watch(images)
            score = tf.reduce_sum(tf.gather_nd(model(images), cells, batch_dims=1))
        gradient = np.abs(tape.gradient(score, images)).sum(-1)
        found |= gradient > 1e-6 * gradient.max(axis=(1, 2), keepdims=True)
    return found


def diagonal(grid):
    return [tuple(min(i, size - 1) for size in grid) for i in range(max(grid))]


@pytest.mark.parametrize("case", cases())
def test_the_field_of_each_cell_is_what_its_gradient_reaches(case):
    inputs = keras.Input((24, 23, 1))
    last = chain(*cases()[case])(inputs)
    model = keras.Model(inputs, L.Dense(2)(L.GlobalAveragePooling2D()(last)))
    info = [info for info in tfcam.list_layers(model) if info.shape[1:] == tuple(last.shape[1:])][-1]
    cells = diagonal(last.shape[1:-1])
    for cell, pixels in zip(cells, reached(keras.Model(inputs, last), cells), strict=True):
        stated = np.zeros_like(pixels)
        stated[info.patch(cell)] = True
        # Between the taps of a dilated kernel nothing is seen: their ends are what is stated.
        rows, columns = (np.flatnonzero(pixels.any(axis=axis)) for axis in (1, 0))
        if len(rows):
            pixels = pixels.copy()
            pixels[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = True
        np.testing.assert_array_equal(pixels, stated, err_msg=str(cell))


@pytest.mark.parametrize("rank", [1, 3])
def test_series_and_volumes_have_them_too(rank):
    convolution, pool = {1: (L.Conv1D, L.GlobalAveragePooling1D), 3: (L.Conv3D, L.GlobalAveragePooling3D)}[rank]
    inputs = keras.Input(((40,), (9, 9, 10))[rank == 3] + (1,))
    padding = {1: "causal", 3: "same"}[rank]
    last = convolution(2, 3, strides=2, padding="same")(convolution(2, 2, dilation_rate=2, padding=padding)(inputs))
    info = tfcam.list_layers(keras.Model(inputs, L.Dense(2)(pool()(last))))[-1]
    if rank == 1:
        # A causal kernel of 2, 2 apart, sees i - 2 and i; "same" strides over an even length begin at 0.
        assert info.centre == ((0.0, 0.0),) and info.patch((3,)) == (slice(4, 9),)
    else:
        assert info.patch((1, 1, 1))[0] == slice(0, 5) and info.centre[0] == (0.0, 0.0)


def test_channels_first_have_them_too():
    inputs = keras.Input((1, 24, 23))
    x = L.ZeroPadding2D(((0, 1), (2, 0)), **FIRST)(inputs)
    x = chain(L.Permute((2, 3, 1)), L.Conv2D(2, 3, strides=2), L.Permute((3, 1, 2)))(x)
    x = L.Conv2D(2, 3, padding="same", **FIRST)(x)
    model = keras.Model(inputs, L.Dense(2)(L.GlobalAveragePooling2D(**FIRST)(x)))
    info = tfcam.list_layers(model)[-1]
    assert info.centre == ((1.0, 1.0), (-1.0, -1.0))
    assert info.patch((1, 0)) == (slice(0, 7), slice(0, 3))


def test_branches_that_differ_give_an_interval():
    inputs = keras.Input((24, 24, 1))
    x = shortcut(shortcut(inputs))
    info = tfcam.list_layers(keras.Model(inputs, L.Dense(2)(L.GlobalAveragePooling2D()(x))))[-1]
    assert info.centre == ((0.0, 3.0), (0.0, 3.0))
    assert info.receptive_field == (7, 7) and info.patch((1, 2)) == (slice(4, 11), slice(8, 15))


def test_sizes_left_open_leave_the_centre_open_where_padding_depends_on_them():
    inputs = keras.Input((None, None, 1))
    fine = L.Conv2D(2, 3, padding="same", name="fine")(inputs)
    coarse = L.Conv2D(2, 3, strides=2, padding="same", name="coarse")(fine)
    model = keras.Model(inputs, L.Dense(2)(L.GlobalAveragePooling2D()(coarse)))
    known = {info.path: info.centre for info in tfcam.list_layers(model)}
    assert known == {"fine": ((0.0, 0.0), (0.0, 0.0)), "coarse": None}
    images = np.zeros((1, 24, 23, 1), "float32")
    known = {info.path: info.centre for info in tfcam.list_layers(model, images)}
    assert known == {"fine": ((0.0, 0.0), (0.0, 0.0)), "coarse": ((1.0, 1.0), (0.0, 0.0))}
    with pytest.raises(ValueError, match=r"list_layers\(model, images\)"):
        tfcam.list_layers(model)[-1].patch((0, 0))


class Compiled(L.Layer):
    def build(self, _):
        self.kernel = self.add_weight(shape=(3, 3, 2, 2))

    def call(self, x):
        return self.compiled(x, self.kernel.value)

    @tf.function
    def compiled(self, x, kernel):
        return tf.nn.conv2d(tf.pad(x, [[0, 0], [3, 0], [3, 0], [0, 0]]), kernel, 2, "VALID")


def test_what_moves_cells_inside_of_a_function_is_counted():
    inputs = keras.Input((24, 24, 2))
    x = L.Conv2D(2, 3)(Compiled()(inputs))
    info = tfcam.list_layers(keras.Model(inputs, L.Dense(2)(L.GlobalAveragePooling2D()(x))))[-1]
    assert info.receptive_field == (7, 7) and info.stride == (2, 2) and info.centre == ((0, 0), (0, 0))
    assert info.patch((0, 1)) == (slice(0, 4), slice(0, 6))


def test_a_cell_that_sees_everything_has_no_patch():
    inputs = keras.Input((8, 8, 2))
    tokens = L.Reshape((64, 2))(inputs)
    x = L.Conv2D(2, 3)(L.Reshape((8, 8, 2))(L.Attention()([tokens, tokens])))
    info = tfcam.list_layers(keras.Model(inputs, L.Dense(2)(L.Flatten()(x))))[-1]
    assert info.centre is None
    with pytest.raises(ValueError, match="no receptive field"):
        info.patch((0, 0))


def test_a_cell_has_one_number_for_each_axis():
    inputs = keras.Input((8, 8, 2))
    info = tfcam.list_layers(keras.Model(inputs, L.Dense(2)(L.GlobalAveragePooling2D()(L.Conv2D(2, 3)(inputs)))))[-1]
    with pytest.raises(ValueError, match="one number for each axis"):
        info.patch((0,))


def test_the_centre_between_two_cells_is_weighted_by_their_distances():
    """Every second cell of a bilinear enlargement lies a quarter of a cell before one of the input's."""
    layers = [L.UpSampling2D(2, interpolation="bilinear"), L.Conv2D(2, 1, strides=2), L.GlobalAveragePooling2D()]
    *_, info = tfcam.list_layers(keras.Sequential([keras.Input((8, 8, 1)), *layers, L.Dense(2)]))
    assert info.stride == (1, 1) and info.centre == ((-0.25, -0.25), (-0.25, -0.25))
