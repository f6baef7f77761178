"""Layers by name, path, index, object."""

import keras
import numpy as np
import pytest
from small_models import Beside, net

import tfcam

L = keras.layers


@pytest.fixture
def x(images):
    return images


def test_layers_of_an_unbuilt_model_are_asked_for_with_a_batch(x):
    model = keras.Sequential([L.Conv2D(4, 3, name="conv"), L.Flatten(), L.Dense(2)])
    with pytest.raises(ValueError, match="explain a batch first"):
        tfcam.GradCAM(model).list_layers()
    assert [info.path for info in tfcam.list_layers(model, x)] == ["conv"]


def test_layers_on_inputs_of_different_sizes_are_not_fused():
    small, large = keras.Input((8, 8, 3)), keras.Input((16, 16, 3))
    pool = L.GlobalAveragePooling2D()
    both = [pool(L.Conv2D(3, 3, name=name)(i)) for name, i in (("a", small), ("b", large))]
    model = keras.Model([small, large], L.Dense(2)(L.Concatenate()(both)))
    with pytest.raises(ValueError, match="one by one"):
        tfcam.GradCAM(model, conv_layer=["a", "b"])
    inputs = [np.ones((1, 8, 8, 3)), np.ones((1, 16, 16, 3))]
    assert tfcam.GradCAM(model, conv_layer="b").explain(inputs, 0).shape == (1, 16, 16, 1)


def test_two_layers_of_one_name_at_one_path_are_told_apart_by_the_layer(x):
    class Twins(keras.Model):
        def __init__(self):
            super().__init__()
            self.one, self.other = L.Conv2D(3, 3, name="twin"), L.Conv2D(3, 3, name="twin")
            self.pool, self.dense = L.GlobalAveragePooling2D(), L.Dense(2)

        def call(self, inputs):
            return self.dense(self.pool(self.other(self.one(inputs))))

    model = Twins()
    with pytest.raises(ValueError, match="Give the layer itself or its index"):
        tfcam.GradCAM(model, conv_layer="twin").explain(x, 0)
    assert tfcam.GradCAM(model, conv_layer=model.one).explain(x, 0, resize=False).shape[1:3] == (14, 10)
    assert tfcam.GradCAM(model, conv_layer=1).explain(x, 0, resize=False).shape[1:3] == (12, 8)


def test_an_integer_output_layer_is_an_index_into_the_models_layers(x):
    model = net(4, "softmax")
    weights = np.ones((5, 6))
    by_index = tfcam.GradCAM(model, output_layer=1).explain(x, weights)
    np.testing.assert_array_equal(by_index, tfcam.GradCAM(model, output_layer="gap").explain(x, weights))
    with pytest.raises(ValueError, match="has 3 layers"):
        tfcam.GradCAM(model, output_layer=3)
    with pytest.raises(ValueError, match=r"Did you mean 'dense'.*Its last layers are: conv, gap, dense"):
        tfcam.GradCAM(model, output_layer="dens")


def test_a_layer_may_be_given_as_numpy_integer_or_as_its_info():
    model = net(4)
    [info] = tfcam.list_layers(model)
    assert tfcam.GradCAM(model, conv_layer=info).conv_layer == "conv"
    assert tfcam.GradCAM(model, conv_layer=np.int64(0)).conv_layer == "conv"


def test_a_name_takes_the_last_call_on_the_way_to_the_output(x):
    class Twice(Beside):
        def call(self, inputs):
            out = super().call(inputs)
            self.conv(inputs[:, ::2])
            return out

    explainer = tfcam.GradCAM(Twice(), conv_layer="inner")
    assert explainer.explain(x, 0, resize=False).shape[1:3] == (14, 10)
    assert explainer.conv_layer == "inner@0"
