"""Where axes come from is what the gradients of single cells say."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from axis_programs import EXACT, STEPS, program, run

from tfcam.backend.symbolic_call import run_symbolically
from tfcam.graph.axes import BATCH, BATCH_SIZE, InputAxis, Joined, Lost, Moved, Part, size_of
from tfcam.graph.axis_origins import AxisOrigins

L = keras.layers
#: Images ``(N, h, w, C)``; no two sizes are alike in all their factors.
SHAPE = (5, 8, 12, 3)


def labels_of(steps, shape):
    """Return the axes of what steps make of images of a shape, traced; an open batch is `BATCH_SIZE` images."""
    graph = tf.function(lambda x: run(steps, x)).get_concrete_function(tf.TensorSpec(shape)).graph
    [output] = graph.outputs
    return AxisOrigins.of_inputs(graph, graph.inputs[:1], [[BATCH_SIZE if size is None else size for size in shape]])[
        output
    ].axes


def digits_of(axis, index):
    """Yield each digit of an axis with its value at an index."""
    for digit in reversed(axis):
        index, value = divmod(index, digit.size)
        if isinstance(digit.origin, Joined):
            for part in digit.origin.parts:
                size = size_of(part)
                if value < size:
                    yield from digits_of(part, value)
                    break
                value -= size
        else:
            yield digit, value


def cells_of(digit, value):
    """Return the axis of the images that a digit is of, with its cells of this value; None where it has been slid."""
    cells = [cell for cell in range(digit.cells) if cell // digit.stride % digit.size == value]
    origin, count = digit.origin, digit.cells
    while isinstance(origin, (Part, Moved)):
        if isinstance(origin, Moved):
            cells = [count - 1 - cell if origin.shift is None else (cell - origin.shift) % count for cell in cells]
        elif count != origin.size:
            return None
        else:
            cells = [cell for cell in range(origin.count) if cell // origin.stride % origin.size in cells]
            count = origin.count
        origin = origin.parent
    axis = 0 if origin is BATCH else origin.axis if isinstance(origin, InputAxis) else None
    return (axis, cells) if axis is not None and count == SHAPE[axis] else None


def slid_axis(digit):
    """Return which axis of the images a whole digit is along, in order, though not cell by cell."""
    origin = digit.origin
    return origin.axis if digit.is_whole and isinstance(origin, InputAxis) else None


def disagreement(steps, images):
    """Return what the gradients of output cells show that the axes do not allow; None where it all agrees."""
    axes = labels_of(steps, SHAPE)
    shape = tuple(run(steps, images).shape)
    if tuple(map(size_of, axes)) != shape:
        return f"sizes {axes} of {shape}"
    is_exact = {make for make, _ in steps} <= EXACT
    return misplaced_cell(steps, images, axes, shape) if is_exact else misplaced_axis(steps, images, axes)


def misplaced_cell(steps, images, axes, shape):
    random = np.random.default_rng(0)
    for cell in (tuple(random.integers(shape)) for _ in range(4)):
        with tf.GradientTape() as tape:
            tape.watch(images)
            value = run(steps, images)[cell]
        seen = np.argwhere(tape.gradient(value, images, unconnected_gradients="zero").numpy())
        for axis, index in zip(axes, cell, strict=True):
            for digit, number in digits_of(axis, index):
                told = cells_of(digit, number)
                if told and not set(seen[:, told[0]]) <= set(told[1]):
                    return f"{digit} at {number} of {cell}: {told}, seen {set(seen[:, told[0]].tolist())}"
    return None


def misplaced_axis(steps, images, axes):
    """Return an axis along which the cells do not look at one place of the images after the other."""
    for position, axis in enumerate(axes):
        where = slid_axis(axis[0]) if len(axis) == 1 else None
        if not where or axis[0].size < 3:
            continue
        middles = []
        for index in range(axis[0].size):
            with tf.GradientTape() as tape:
                tape.watch(images)
                cells = tf.gather(run(steps, images), index, axis=position)
                value = tf.reduce_sum(cells * np.random.default_rng(0).uniform(0.5, 1, cells.shape))
            energy = tape.gradient(value, images, unconnected_gradients="zero").numpy() ** 2
            energy = energy.sum(axis=tuple(other for other in range(4) if other != where))
            if energy.sum() > 0:
                middles.append(energy @ np.arange(SHAPE[where]) / energy.sum())
        if len(middles) > 2 and np.ptp(middles) > 1 and np.corrcoef(middles, range(len(middles)))[0, 1] < 0.7:
            return f"axis {position}, {axis}, along {where}: {np.round(middles, 1)}"
    return None


def in_order(choices):
    return sorted(choices, key=lambda make: make.__name__)


def shrunk(steps, images):
    """Return the shortest beginning of a program that disagrees, and how; None where it agrees."""
    if not disagreement(steps, images):
        return None
    lengths = range(1, len(steps) + 1)
    parts = (steps[:length] for length in lengths)
    return next(([make.__name__ for make, _ in part], found) for part in parts if (found := disagreement(part, images)))


@pytest.mark.parametrize("choices", [STEPS, EXACT], ids=["all", "exact"])
@pytest.mark.parametrize("block", range(5))
def test_cells_of_random_programs_see_what_their_axes_say(block, choices):
    images = tf.constant(np.random.default_rng(block).normal(size=SHAPE), tf.float32)
    wrong = [shrunk(program(seed, images, in_order(choices)), images) for seed in range(30 * block, 30 * (block + 1))]
    assert not [one for one in wrong if one]


def is_lost(axis):
    return any(isinstance(digit.origin, Lost) for digit in axis)


def test_the_origin_of_few_axes_is_lost():
    images = tf.zeros(SHAPE)
    axes = [labels_of(program(seed, images, in_order(STEPS)), SHAPE) for seed in range(60)]
    assert sum(any(map(is_lost, one)) for one in axes) < 15


def bare(axis):
    """Return an axis without what its cells see."""
    origins = [one.origin for one in axis]
    origins = [tuple(map(bare, origin.parts)) if isinstance(origin, Joined) else origin for origin in origins]
    return [(origin, *one[1:4]) for origin, one in zip(origins, axis, strict=True)]


@pytest.mark.parametrize("seed", range(40))
def test_a_batch_of_any_size_is_the_batch(seed):
    """Whatever the batch is folded with, and however the graph computes its shapes."""
    steps = program(seed, tf.zeros(SHAPE), in_order(STEPS))
    known, of_any_size = labels_of(steps, SHAPE), labels_of(steps, (None, *SHAPE[1:]))
    assert len(known) == len(of_any_size)
    for axis, other in zip(map(bare, known), map(bare, of_any_size), strict=True):
        assert [origin for origin, *_ in axis] == [origin for origin, *_ in other]
        assert BATCH in [origin for origin, *_ in axis] or axis == other


def model_axes(layers, shape):
    """Return, for each layer, which axes of the input its axes are, None for others."""
    model = keras.Sequential([keras.Input(shape), *layers])
    run = run_symbolically(model, tf.TensorSpec((None, *shape)))
    origins = AxisOrigins.of_inputs(run.graph, run.inputs, [[BATCH_SIZE, *shape]])
    assert not any(is_lost(axis) for call in run.seen for axis in origins[call.output].axes)
    return [
        [next((getattr(digit.origin, "axis", None) for digit in axis), None) for axis in origins[call.output].axes]
        for call in run.seen
        if call.layer in layers
    ]


FRAMES = (4, 16, 12, 3)


@pytest.mark.parametrize(
    ("make", "shape", "expected"),
    [
        (lambda: [L.TimeDistributed(L.Conv2D(2, 3)), L.ConvLSTM2D(2, 3)], FRAMES, [[1, 2, 3], [2, 3]]),
        (lambda: [L.ConvLSTM2D(2, 3, strides=2, return_sequences=True)], FRAMES, [[1, 2, 3]]),
        (lambda: [L.LSTM(3, return_sequences=True), L.GRU(2, return_sequences=True)], (9, 3), [[1], [1]]),
        (lambda: [L.Permute((2, 1)), L.LSTM(3, return_sequences=True)], (3, 9), [[2, 1], [2]]),
        (lambda: [L.Permute((3, 1, 2)), L.Reshape((5, 8, 6, 1)), L.Conv3D(2, 3)], (8, 6, 5), [[3, 1, 2]] * 3),
        (lambda: [L.Embedding(10, 4), L.SimpleRNN(3, return_sequences=True)], (7,), [[1], [1]]),
    ],
    ids=["frames", "loop over frames", "series", "variables first", "slices last", "words"],
)
def test_loops_over_frames_and_series_keep_the_axes_of_the_input(make, shape, expected):
    found = model_axes(make(), shape)
    assert [axes[1 : 1 + len(wanted)] for axes, wanted in zip(found, expected, strict=True)] == expected


def test_what_a_gradient_adds_to_a_function_has_no_origin():
    """TensorFlow lets the call put out more, what the gradient needs of its inside, after the origins were read."""
    inner = tf.function(lambda x: tf.nn.gelu(x) * tf.sigmoid(x))
    graph = tf.function(lambda x: tf.reduce_sum(inner(x), [1, 2])).get_concrete_function(tf.zeros((3, 4, 5, 2))).graph
    origins = AxisOrigins.of_inputs(graph, graph.inputs[:1], [[3, 4, 5, 2]])
    [call] = [operation for operation in graph.get_operations() if operation.type == "PartitionedCall"]
    with graph.as_default():
        tf.gradients(call.outputs[0], graph.inputs[0])
    own, *added = call.outputs
    assert own in origins and added
    assert not any(tensor in origins for tensor in added)
    assert not any(
        digit.cells > 1 and not digit.is_free for one in added for axis in origins[one].axes for digit in axis
    )
