"""Models' inputs of every kind, and what a model does with its batch."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from oracle import close
from small_models import Beside, net

import tfcam

L = keras.layers


@pytest.fixture
def x(images):
    return images


def test_mapping_a_dataset_that_can_be_read_once_loses_nothing(x):
    once = iter(x)
    dataset = tf.data.Dataset.from_generator(lambda: once, output_signature=tf.TensorSpec((16, 12, 3)))
    mapped = tfcam.GradCAM(net(4), batch_size=2).map(dataset)
    assert sum(len(h) for _, _, h in mapped) == 5


def test_maps_have_the_size_of_the_input_that_the_grid_comes_from():
    reference, image = keras.Input((8, 8, 1)), keras.Input((32, 32, 3))
    gate = L.Dense(4)(L.GlobalAveragePooling2D(keepdims=True)(L.Conv2D(4, 3)(reference)))
    a = L.Multiply(name="gated")([L.Conv2D(4, 3, activation="relu")(image), gate])
    model = keras.Model([reference, image], L.Dense(2)(L.GlobalAveragePooling2D()(a)))
    rng = np.random.default_rng(0)
    maps = tfcam.GradCAM(model).explain([rng.uniform(size=(2, 8, 8, 1)), rng.uniform(size=(2, 32, 32, 3))], 1)
    assert maps.shape == (2, 32, 32, 1)


class TwoSeries(keras.Model):
    def __init__(self):
        super().__init__()
        self.conv, self.pool, self.dense = L.Conv1D(4, 3, name="conv"), L.GlobalAveragePooling1D(), L.Dense(2)

    def call(self, inputs):
        one, other = inputs
        return self.dense(tf.concat([self.pool(self.conv(one)), self.pool(other)], -1))


def test_two_series_of_one_shape_are_two_inputs():
    pair = [np.random.default_rng(i).uniform(size=(4, 20, 3)).astype("float32") for i in range(2)]
    assert tfcam.GradCAM(TwoSeries()).explain(pair, 1).shape == (4, 20, 1)


def test_a_list_of_images_is_one_input_of_a_model_that_declares_none(x):
    explainer = tfcam.GradCAM(Beside())
    close(explainer.explain(list(x), 0), explainer.explain(x, 0))


def test_nested_inputs_are_taken_as_they_are_declared():
    a, b = keras.Input((16, 12, 3)), keras.Input((16, 12, 3))
    pool = L.GlobalAveragePooling2D()
    out = L.Dense(2)(L.Concatenate()([pool(L.Conv2D(3, 3)(a)), pool(b)]))
    model = keras.Model({"images": [a, b]}, out)
    assert tfcam.GradCAM(model).explain({"images": [np.ones((2, 16, 12, 3))] * 2}, 0).shape == (2, 16, 12, 1)


def test_pixels_of_any_finite_size_are_taken_and_infinite_ones_are_not(x):
    model = keras.Sequential([keras.Input((16, 12, 3)), L.Rescaling(1e-37), *net(4).layers])
    explainer = tfcam.GradCAM(model)
    close(explainer.explain(x * 3e38, 1), 30 * tfcam.GradCAM(keras.Sequential(model.layers[1:])).explain(x, 1))
    for value in (np.inf, -np.inf, np.nan):
        broken = np.zeros_like(x)
        broken[2, 3, 4] = value
        with pytest.raises(ValueError, match="NaN or infinite values, first in image 2"):
            explainer.explain(broken, 1)
