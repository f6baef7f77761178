"""Whatever a model does to the axes of its images before it convolves, a map lies on the object, or is refused."""

import itertools

import axis_programs as programs
import keras
import numpy as np
import pytest
import tensorflow as tf

import tfcam

L = keras.layers
#: No two sizes are alike.
SHAPE = (12, 16, 3)
STEPS = [
    *(programs.transpose, programs.split, programs.merge, programs.fold_into_the_batch, programs.expand),
    *(programs.squeeze, programs.pool, programs.pad, programs.one_by_one, programs.double_channels, programs.flip),
    *(programs.roll, programs.repeat, programs.residual, programs.blocks_to_channels, programs.image_by_image),
    *(programs.channels_to_blocks, programs.resize, programs.windows, programs.prefix, programs.gate),
]


class Program(L.Layer):
    def __init__(self, steps):
        super().__init__(name="program")
        self.steps = [step for _, step in steps]

    def call(self, x):
        for step in self.steps:
            x = step(x)
        return x


def convolved(steps, shape=SHAPE):
    """Return a model that convolves with positive weights what steps make of its images; None of other ranks."""
    inputs = keras.Input(shape)
    x = Program(steps)(inputs)
    if len(x.shape) not in (3, 4, 5) or x.shape[-1] is None:
        return None
    rank, positive = len(x.shape) - 2, {"kernel_initializer": keras.initializers.RandomUniform(0.5, 1.5)}
    convolution = {1: L.Conv1D, 2: L.Conv2D, 3: L.Conv3D}[rank]
    pool = {1: L.GlobalAveragePooling1D, 2: L.GlobalAveragePooling2D, 3: L.GlobalAveragePooling3D}[rank]
    x = convolution(2, 1, activation="relu", name="last", **positive)(x)
    return keras.Model(inputs, L.Dense(2, **positive)(pool()(x)))


@pytest.fixture(scope="module")
def images():
    images, boxes = np.zeros((5, *SHAPE), "float32"), []
    for image, random in zip(images, map(np.random.default_rng, range(5)), strict=True):
        top, left = random.integers(0, SHAPE[0] - 4), random.integers(0, SHAPE[1] - 4)
        image[top : top + 4, left : left + 4] = 5.0
        boxes.append((top + 1.5, left + 1.5, None))
    return images, boxes


def axes_of(sizes):
    """Return the axes of an image that a map has, some of them in parts, ``2, 6`` rows are 12, or every other cell."""
    for count in (1, 2, 3):
        for axes in itertools.combinations(range(3), count):
            wanted = np.cumprod([SHAPE[axis] for axis in axes])
            found = np.cumprod(sizes)
            if wanted[-1] == found[-1] and set(wanted) <= set(found):
                return axes
    for axes in itertools.combinations(range(3), len(sizes)):
        if all(SHAPE[axis] % size == 0 for axis, size in zip(axes, sizes, strict=True)):
            return axes
    raise AssertionError(f"no axes of {SHAPE} are {sizes}")


def found_at(model, images, boxes):
    """Return how far, at most, the middle of a map is from that of the object; None where the map is refused."""
    try:
        maps = tfcam.GradCAM(model, conv_layer="last").explain(images, 0).numpy()[..., 0]
    except ValueError as error:
        assert "resize=False" in str(error) or "no spatial output" in str(error)
        return None
    axes = axes_of(maps.shape[1:])
    if len(axes) == maps.ndim - 1:
        for position, axis in enumerate(axes, 1):
            maps = maps.repeat(SHAPE[axis] // maps.shape[position], axis=position)
    maps = maps.reshape(-1, *(SHAPE[axis] for axis in axes))
    distances = [0.0]
    for heatmap, box in zip(maps, boxes, strict=True):
        for position, axis in enumerate(axes):
            along = heatmap.sum(axis=tuple(other for other in range(len(axes)) if other != position))
            if box[axis] is not None:
                distances.append(abs(along @ np.arange(SHAPE[axis]) / along.sum() - box[axis]))
    return max(distances)


def runs(model, images):
    """Whether TensorFlow runs a model in a graph: its steps may be made for other sizes, and it pads no channels."""
    try:
        tf.function(model)(images)
    except (ValueError, tf.errors.InvalidArgumentError):
        return False
    return True


@pytest.mark.parametrize("block", range(4))
def test_a_map_lies_on_the_object_or_is_refused(images, block):
    distances = {}
    for seed in range(20 * block, 20 * (block + 1)):
        steps = programs.program(seed, keras.ops.zeros((5, *SHAPE)), STEPS)[:4]
        model = convolved(steps)
        if model is not None and runs(model, images[0]):
            names = ", ".join(make.__name__ for make, _ in steps)
            distances[f"{seed}: {names}"] = found_at(model, *images)
    assert not {names: one for names, one in distances.items() if one is not None and one > 3}
    assert sum(one is not None for one in distances.values()) > len(distances) / 2


@pytest.mark.parametrize("block", range(4))
def test_the_numbers_of_a_model_of_any_size_are_not_taken_for_those_of_its_input(images, block):
    """Its steps hold the sizes of these images, as a model does that is declared open and runs on one size alone."""
    distances, choices = {}, [step for step in STEPS if step is not programs.one_by_one]
    for seed in range(20 * block, 20 * (block + 1)):
        steps = programs.program(seed, keras.ops.zeros((5, *SHAPE)), choices)[:3]
        model = convolved(steps, (None, None, 3))
        if model is not None and runs(model, images[0]):
            names = ", ".join(make.__name__ for make, _ in steps)
            distances[f"{seed}: {names}"] = found_at(model, *images)
    assert not {names: one for names, one in distances.items() if one is not None and one > 3}
    assert any(one is not None for one in distances.values())
