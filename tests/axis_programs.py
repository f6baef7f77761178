"""Random programs of operations that move, mix and slide along the axes of a tensor."""

import numpy as np
import tensorflow as tf


def axes_of(x, at_least=2):
    return [axis for axis in range(1, x.shape.rank) if x.shape[axis] >= at_least]


def pick(random, options):
    return options[random.integers(len(options))] if options else None


def transpose(x, random):
    order = [0, *(1 + random.permutation(x.shape.rank - 1))]
    return lambda y: tf.transpose(y, order)


def transpose_with_the_batch(x, random):
    order = random.permutation(x.shape.rank)
    return lambda y: tf.transpose(tf.nn.relu(tf.transpose(y, order)), np.argsort(order))


def split(x, random):
    axis = pick(random, [axis for axis in axes_of(x) if x.shape[axis] % 2 == 0])
    if axis is None or x.shape.rank > 5:
        return None
    parts = pick(random, [(2, x.shape[axis] // 2), (x.shape[axis] // 2, 2)])
    shape = [-1, *x.shape[1:axis], *parts, *x.shape[axis + 1 :]]
    return lambda y: tf.reshape(y, shape)


def merge(x, random):
    if x.shape.rank < 4:
        return None
    axis = random.integers(1, x.shape.rank - 1)
    shape = [-1, *x.shape[1:axis], x.shape[axis] * x.shape[axis + 1], *x.shape[axis + 2 :]]
    return lambda y: tf.reshape(y, shape)


def fold_into_the_batch(x, random):
    """Explain each part of an axis on its own, as tiles and frames are, and bring them back."""
    if x.shape.rank < 4:
        return None
    inner, outer = [-1, *x.shape[2:]], [-1, *x.shape[1:]]
    return lambda y: tf.reshape(tf.nn.relu(tf.reshape(y, inner)), outer)


def expand(x, random):
    if x.shape.rank > 4:
        return None
    axis = int(random.integers(1, x.shape.rank + 1))
    return lambda y: tf.expand_dims(y, axis)


def squeeze(x, random):
    axis = pick(random, [axis for axis in range(1, x.shape.rank) if x.shape[axis] == 1])
    return axis and (lambda y: tf.squeeze(y, [axis]))


def convolve(x, random):
    rank = x.shape.rank
    if rank not in (3, 4, 5):
        return None
    size, stride, padding = int(random.integers(1, 4)), int(random.integers(1, 3)), pick(random, ["SAME", "VALID"])
    if min(x.shape[1:-1]) < 3:
        return None
    kernel = tf.constant(random.normal(size=[size] * (rank - 2) + [x.shape[-1], 3]), tf.float32)
    data_format = {3: "NWC", 4: "NHWC", 5: "NDHWC"}[rank]
    return lambda y: tf.nn.convolution(y, kernel, strides=stride, padding=padding, data_format=data_format)


def dilate(x, random):
    if x.shape.rank != 4 or min(x.shape[1:-1]) < 5:
        return None
    kernel = tf.constant(random.normal(size=[3, 3, x.shape[-1], 3]), tf.float32)

    def run(y):
        spread = tf.space_to_batch(y, [2, 2], [[2, 2 + y.shape[1] % 2], [2, 2 + y.shape[2] % 2]])
        crops = [[0, y.shape[1] % 2], [0, y.shape[2] % 2]]
        return tf.batch_to_space(tf.nn.conv2d(spread, kernel, 1, "VALID"), [2, 2], crops)

    return run


def convolve_back(x, random):
    if x.shape.rank != 4 or np.prod(x.shape[1:]) > 600:
        return None
    kernel = tf.constant(random.normal(size=[3, 3, 2, x.shape[-1]]), tf.float32)
    sizes = [2 * x.shape[1], 2 * x.shape[2], 2]
    return lambda y: tf.nn.conv2d_transpose(y, kernel, [tf.shape(y)[0], *sizes], 2, "SAME")


def pool(x, random):
    if x.shape.rank != 4 or min(x.shape[1:3]) < 2:
        return None
    return lambda y: tf.nn.avg_pool2d(y, 2, 2, "VALID")


def pad(x, random):
    axis = pick(random, axes_of(x))
    pads = [[0, 0] if other != axis else [1, 2] for other in range(x.shape.rank)]
    return axis and (lambda y: tf.pad(y, pads))


def crop(x, random):
    axis = pick(random, axes_of(x, 4))
    index = [slice(None)] * axis + [slice(1, -1)] if axis else None
    return axis and (lambda y: y[tuple(index)])


def every_other(x, random):
    axis = pick(random, axes_of(x, 4))
    index = [slice(None)] * axis + [slice(random.integers(2), None, 2)] if axis else None
    return axis and (lambda y: y[tuple(index)])


def take_one(x, random):
    axis = pick(random, axes_of(x)) if x.shape.rank > 3 else None
    at = int(random.integers(x.shape[axis or 0]))
    return axis and (lambda y: tf.gather(y, at, axis=axis))


def one_by_one(x, random):
    """Compute each part of an axis on its own, and stack them where they were or at the end."""
    axis = pick(random, [axis for axis in axes_of(x) if x.shape[axis] < 9])
    at = pick(random, [axis, x.shape.rank - 1])
    return axis and (lambda y: tf.stack([tf.nn.relu(part) for part in tf.unstack(y, axis=axis)], axis=at))


def windows(x, random):
    axis = pick(random, axes_of(x, 4)) if x.shape.rank < 5 else None
    if axis is None:
        return None
    table = np.arange(0, x.shape[axis] - 2, 2)[:, None] + np.arange(3)
    return lambda y: tf.gather(y, table, axis=axis)


def prefix(x, random):
    axis = pick(random, axes_of(x))
    return axis and (lambda y: tf.concat([tf.zeros_like(tf.gather(y, [0], axis=axis)), y], axis=axis))


def without_the_first(x, random):
    axis = pick(random, axes_of(x, 3))
    index = [slice(None)] * axis + [slice(1, None)] if axis else None
    return axis and (lambda y: y[tuple(index)])


def double_channels(x, random):
    return lambda y: tf.concat([y, tf.nn.relu(y)], axis=-1)


def flip(x, random):
    axis = pick(random, axes_of(x))
    return axis and (lambda y: tf.reverse(y, [axis]))


def roll(x, random):
    axis, shift = pick(random, axes_of(x)), int(random.integers(1, 4))
    return axis and (lambda y: tf.roll(y, shift, axis))


def repeat(x, random):
    axis = pick(random, [axis for axis in axes_of(x) if x.shape[axis] < 9])
    return axis and (lambda y: tf.repeat(y, 2, axis=axis))


def tile(x, random):
    axis = pick(random, [axis for axis in axes_of(x) if x.shape[axis] < 9])
    times = [2 if other == axis else 1 for other in range(x.shape.rank)]
    return axis and (lambda y: tf.tile(y, times))


def dense(x, random):
    matrix = tf.constant(random.normal(size=(x.shape[-1], 4)), tf.float32)
    return lambda y: tf.tensordot(y, matrix, 1)


def mix_an_axis(x, random):
    """Multiply by a matrix along an axis that is not the last, as a mixer does."""
    axis = pick(random, axes_of(x)[:-1])
    if axis is None:
        return None
    matrix, letters = tf.constant(random.normal(size=(x.shape[axis], 5)), tf.float32), "abcdefg"[: x.shape.rank]
    result = letters.replace(letters[axis], "z")
    return lambda y: tf.einsum(f"{letters},{letters[axis]}z->{result}", y, matrix)


def attend(x, random):
    if x.shape.rank != 3:
        return None
    return lambda y: 9.0 * y + tf.matmul(tf.nn.softmax(tf.matmul(y, tf.nn.tanh(y), transpose_b=True)), y)


def mean_of_an_axis(x, random):
    axis = pick(random, axes_of(x)) if x.shape.rank > 3 else None
    keep = bool(random.integers(2))
    return axis and (lambda y: tf.reduce_mean(y, axis=axis, keepdims=keep))


def gate(x, random):
    axis = pick(random, axes_of(x))
    return axis and (lambda y: y * tf.sigmoid(tf.reduce_mean(y, axis=axis, keepdims=True)))


def residual(x, random):
    return lambda y: y + tf.nn.tanh(y)


def with_its_transpose(x, random):
    if x.shape.rank != 4 or x.shape[1] != x.shape[2]:
        return None
    return lambda y: y + tf.transpose(y, [0, 2, 1, 3])


def softmax(x, random):
    return tf.nn.softmax


def blocks_to_channels(x, random):
    if x.shape.rank != 4 or x.shape[1] % 2 or x.shape[2] % 2:
        return None
    return lambda y: tf.nn.space_to_depth(y, 2)


def channels_to_blocks(x, random):
    if x.shape.rank != 4 or x.shape[3] % 4 or np.prod(x.shape[1:]) > 600:
        return None
    return lambda y: tf.nn.depth_to_space(y, 2)


def resize(x, random):
    if x.shape.rank != 4 or np.prod(x.shape[1:]) > 600:
        return None
    sizes = [int(size * pick(random, [2, 1.5, 1])) for size in x.shape[1:3]]
    return lambda y: tf.image.resize(y, sizes, pick(random, ["bilinear"]))


def patches(x, random):
    if x.shape.rank != 4 or min(x.shape[1:3]) < 2:
        return None
    return lambda y: tf.image.extract_patches(y, [1, 2, 2, 1], [1, 2, 2, 1], [1, 1, 1, 1], "VALID")


def image_by_image(x, random):
    return lambda y: tf.map_fn(tf.nn.relu, y)


#: Steps after which a cell sees those cells alone that its axes name.
EXACT = {
    *(transpose, transpose_with_the_batch, split, merge, fold_into_the_batch, expand, squeeze, take_one, one_by_one),
    *(windows, prefix, without_the_first, double_channels, flip, roll, repeat, tile, dense, mix_an_axis),
    *(mean_of_an_axis, residual, with_its_transpose, image_by_image),
}
STEPS = [
    *(transpose, transpose_with_the_batch, split, merge, fold_into_the_batch, expand, squeeze, convolve, dilate),
    *(convolve_back, pool, pad, crop, every_other, take_one, one_by_one, windows, prefix, without_the_first),
    *(double_channels, flip, roll, repeat, tile, dense, mix_an_axis, attend, mean_of_an_axis, gate, residual),
    *(with_its_transpose, softmax, blocks_to_channels, channels_to_blocks, resize, patches, image_by_image),
]


def program(seed, images, choices=STEPS):
    """Return the makers and functions of three to six random steps that can be applied one after the other."""
    random, steps, x = np.random.default_rng(seed), [], images
    length = random.integers(3, 7)
    while len(steps) < length:
        make = pick(random, choices)
        step = make(x, random)
        if step is not None:
            steps.append((make, step))
            x = step(x)
    return steps


def run(steps, x):
    for _, step in steps:
        x = step(x)
    return x
