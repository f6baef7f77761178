"""An operation that the table does not have is unknown: nothing is concluded from it, and nothing is silently wrong."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from oracle import ORACLES, activations_and_gradients, same

import tfcam
from tfcam.graph.op_types import op_type

L = keras.layers


@keras.saving.register_keras_serializable()
class Products(L.Layer):
    """A layer of an operation that is not in the table."""

    def call(self, x):
        return tf.math.cumprod(1.0 + x, axis=-1)


class Compiled(L.Layer):
    """A convolution and an operation of a name, in a function of their own."""

    def __init__(self, operation):
        super().__init__()
        self.operation = operation

    def build(self, shape):
        self.kernel = self.add_weight(shape=(3, 3, shape[-1], 2), name="kernel")

    @tf.function
    def convolved(self, x, kernel):
        return self.operation(tf.nn.conv2d(x, kernel, 1, "VALID"))

    def call(self, x):
        return self.convolved(x, self.kernel.value)


@pytest.fixture
def model():
    keras.utils.set_random_seed(0)
    first = [L.Conv2D(5, 3, activation="relu", name="before"), Products(name="unknown")]
    # All scores are positive.
    head = [L.GlobalAveragePooling2D(), L.Dense(4, kernel_initializer=keras.initializers.RandomUniform(0.5, 1.5))]
    return keras.Sequential([keras.Input((16, 12, 3)), *first, *head])


def test_its_output_is_no_default_layer_and_has_no_receptive_field(model):
    assert not op_type("Cumprod").is_known
    before, unknown = tfcam.list_layers(model)
    assert (before.default, before.receptive_field) == (True, (3, 3))
    assert (unknown.default, unknown.receptive_field, unknown.centre) == (False, None, None)


def test_its_output_can_be_named_and_is_explained_as_a_tape_does(model, images):
    body, head = keras.Sequential(model.layers[:2]), keras.Sequential(model.layers[2:])
    weights = np.eye(4, dtype="float32")[[1] * len(images)]
    expected = ORACLES["grad-cam"](*activations_and_gradients(body, head, images, weights))
    same(tfcam.GradCAM(model, conv_layer="unknown").explain(images, 1, resize=False)[..., 0], expected)


def test_after_another_convolution_a_layer_is_the_default_again():
    layers = [L.Conv2D(5, 3), Products(), L.Conv2D(4, 3, name="after"), L.GlobalAveragePooling2D(), L.Dense(4)]
    [*_, after] = tfcam.list_layers(keras.Sequential([keras.Input((16, 12, 3)), *layers]))
    assert (after.path, after.default, after.receptive_field) == ("after", True, None)


def test_cam_names_it(model, images):
    with pytest.raises(ValueError, match="here comes Cumprod"):
        tfcam.CAM(model).explain(images, 1)


def test_maps_before_it_are_not_taken_for_those_of_an_affine_head(model, images):
    """Of an affine head one gradient would stand for all ablations."""
    maps = tfcam.AblationCAM(model, signed=True).explain(images, 1, resize=False).numpy()[..., 0]
    activations = model.layers[0](images).numpy()
    head = keras.Sequential(model.layers[1:])
    drops = []
    for channel in range(activations.shape[-1]):
        ablated = activations.copy()
        ablated[..., channel] = 0
        drops.append(head(activations)[:, 1] - head(ablated)[:, 1])
    expected = np.einsum("nk,nhwk->nhw", np.stack(drops, axis=-1), activations)
    same(maps, expected)


@pytest.mark.parametrize(
    ("operation", "field"),
    [
        (tf.nn.relu, (3, 3)),
        (lambda x: tf.math.cumprod(x, axis=1), None),
        (lambda x: tf.roll(x, 3, axis=1), None),
        (lambda x: tf.cumsum(x, axis=2), None),
    ],
    ids=["of each number", "unknown", "moves cells", "sums cells"],
)
def test_beside_a_convolution_in_a_function_it_leaves_no_receptive_field(operation, field):
    layers = [Compiled(operation), L.GlobalAveragePooling2D(), L.Dense(4)]
    [info] = tfcam.list_layers(keras.Sequential([keras.Input((16, 12, 3)), *layers]))
    assert info.receptive_field == field
