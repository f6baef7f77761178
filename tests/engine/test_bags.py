"""One output for the whole batch: no row is that of one image, so it is refused."""

import keras
import numpy as np
import pytest

import tfcam

L, ops = keras.layers, keras.ops


@pytest.fixture
def patches():
    return np.random.default_rng(0).uniform(size=(8, 12, 12, 3)).astype("float32")


def attention(features):
    shares = ops.softmax(L.Dense(1)(ops.tanh(L.Dense(4)(features))), axis=0)
    return ops.sum(shares * features, axis=0, keepdims=True)


POOLED = {
    "attention over the batch": attention,
    "mean over the batch": lambda features: ops.mean(features, axis=0, keepdims=True),
    "maximum over the batch": lambda features: ops.max(features, axis=0, keepdims=True),
    "the first image alone": lambda features: ops.take(features, [0], axis=0),
    "two rows for each image": lambda features: ops.concatenate([features, features], axis=0),
    "pairs of images": lambda features: ops.mean(ops.reshape(features, (-1, 2, 6)), axis=1),
}


def bag(pool, activation=None):
    inputs = keras.Input((12, 12, 3))
    features = L.GlobalAveragePooling2D()(L.Conv2D(6, 3, activation="relu", name="conv")(inputs))
    return keras.Model(inputs, L.Dense(2, activation=activation)(pool(features)))


REFUSED = r"rows of output for \d+ images.*\(N, bag, H, W, C\), with TimeDistributed"


@pytest.mark.parametrize("method", ["grad-cam", "xgrad-cam", "score-cam", "eigen-cam"])
@pytest.mark.parametrize("pool", POOLED)
def test_an_output_that_is_no_row_for_each_image_is_refused(pool, method, patches):
    with pytest.raises(ValueError, match=REFUSED):
        tfcam.METHODS[method](bag(POOLED[pool]), batch_size=4).explain(patches, 1)


@pytest.mark.parametrize("pool", ["attention over the batch", "mean over the batch", "maximum over the batch"])
def test_a_bag_that_the_batch_size_cuts_into_single_images_is_refused(pool, patches):
    with pytest.raises(ValueError, match=REFUSED):
        tfcam.GradCAM(bag(POOLED[pool]), batch_size=1).explain(patches, 1)


def test_a_subclassed_bag_and_a_bag_with_one_unit_are_refused(patches):
    class Bag(keras.Model):
        def __init__(self):
            super().__init__()
            self.conv, self.pool, self.dense = L.Conv2D(6, 3), L.GlobalAveragePooling2D(), L.Dense(1, "sigmoid")

        def call(self, inputs):
            return self.dense(ops.max(self.pool(self.conv(inputs)), axis=0, keepdims=True))

    with pytest.raises(ValueError, match=REFUSED):
        tfcam.GradCAM(Bag()).explain(patches)


@pytest.mark.parametrize("operator", ["regression", lambda model, x, targets: model(x)[:, 0]])
def test_other_operators_refuse_a_bag_too(operator, patches):
    targets = 1 if operator == "regression" else None
    with pytest.raises(ValueError, match=REFUSED):
        tfcam.GradCAM(bag(attention), operator=operator).explain(patches, targets)


@pytest.mark.parametrize("model", [lambda one: one, lambda one: lambda x: one(x)], ids=["model", "function"])
def test_metrics_refuse_a_bag_too(model, patches):
    maps = np.random.default_rng(0).uniform(size=(8, 12, 12, 1)).astype("float32")
    with pytest.raises(ValueError, match=REFUSED):
        tfcam.metrics.Deletion(model(bag(attention, "softmax")), patches, np.zeros(8, int)).evaluate(maps)


def test_the_comparison_and_the_conservation_refuse_a_bag_too(patches):
    model = bag(POOLED["mean over the batch"])
    for call in (tfcam.compare, tfcam.verify_conservation):
        with pytest.raises(ValueError, match=REFUSED):
            call(model, patches, 1)


def test_a_bag_with_an_axis_of_its_own_is_explained(patches):
    inputs = keras.Input((4, 12, 12, 3))
    maps = L.TimeDistributed(L.Conv2D(6, 3, activation="relu"), name="conv")(inputs)
    features = L.TimeDistributed(L.GlobalAveragePooling2D())(maps)
    shares = L.Softmax(axis=1)(L.Dense(1)(features))
    model = keras.Model(inputs, L.Dense(2)(ops.sum(shares * features, axis=1)))
    assert tfcam.GradCAM(model, conv_layer="conv").explain(patches.reshape(2, 4, 12, 12, 3), 1).shape[0] == 2


def test_a_model_that_declares_its_batch_size_is_explained(patches):
    inputs = keras.Input(batch_shape=(1, 12, 12, 3))
    x = L.Conv2D(6, 3, activation="relu")(inputs)
    model = keras.Model(inputs, L.Dense(2)(L.Flatten()(x)))
    maps = tfcam.GradCAM(model, batch_size=1).explain(patches, 1)
    assert maps.shape == (8, 12, 12, 1)
