"""Models that change after they were explained, and explainers that are copied."""

import copy
import pickle

import keras
import numpy as np
import pytest
from model_rows import Subclassed, parts
from oracle import close, same
from small_models import LABELS, net

import tfcam

L = keras.layers


def activation_taken_off(model):
    model.layers[-1].activation = keras.activations.linear


def lora(model):
    model.layers[-1].enable_lora(2)
    model.layers[-1].lora_kernel_b.assign(np.random.default_rng(1).normal(size=(2, 4)))


def layers_exchanged(model):
    model.pop()
    model.add(L.Dense(4))


def strides_halved(model):
    model.layers[0].dilation_rate = (2, 2)


def quantized(model):
    model.layers[-1].quantize("int8")


CHANGES = [activation_taken_off, lora, layers_exchanged, strides_halved, quantized]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_change_of_the_model_is_seen(images, change):
    model = net(4, "tanh", 1.0)
    explainer = tfcam.GradCAM(model)
    before = explainer.explain(images, LABELS).numpy()
    change(model)
    after = explainer.explain(images, LABELS).numpy()
    same(after, tfcam.GradCAM(model).explain(images, LABELS))
    assert np.abs(after - before).max() > 1e-5


class TwoHeads(keras.Model):
    def __init__(self):
        super().__init__()
        self.conv, self.pool = L.Conv2D(4, 3), L.GlobalAveragePooling2D()
        self.head, self.other = L.Dense(4), L.Dense(4)

    def call(self, inputs):
        features = self.pool(self.conv(inputs))
        return self.head(features) + 0.0 * self.other(features)


def test_a_layer_exchanged_in_a_subclassed_model_is_seen(images):
    model = TwoHeads()
    explainer = tfcam.GradCAM(model)
    before = explainer.explain(images, LABELS).numpy()
    model.head, model.other = model.other, model.head
    after = explainer.explain(images, LABELS).numpy()
    same(after, tfcam.GradCAM(model).explain(images, LABELS))
    assert np.abs(after - before).max() > 1e-5


def test_legacy_models_that_change_are_seen(images):
    tf_keras = pytest.importorskip("tf_keras")
    layers = tf_keras.layers
    model = tf_keras.Sequential([layers.Input((16, 12, 3)), layers.Conv2D(3, 3), layers.Flatten(), layers.Dense(4)])
    explainer = tfcam.GradCAM(model)
    explainer.explain(images, LABELS)
    model.layers[0].activation = tf_keras.activations.relu
    close(explainer.explain(images, LABELS), tfcam.GradCAM(model).explain(images, LABELS))


@pytest.mark.parametrize("package", ["keras", "tf_keras"])
def test_training_is_no_change_but_of_the_weights(images, package):
    layers = pytest.importorskip(package).layers
    model = pytest.importorskip(package).Sequential(
        [layers.Input((16, 12, 3)), layers.Conv2D(3, 3), layers.BatchNormalization(), layers.Flatten(), layers.Dense(4)]
    )
    explainer = tfcam.GradCAM(model)
    before = explainer.explain(images, LABELS).numpy()
    explainer.explain(images, LABELS, resize=False)
    model.compile("adam", "mse", metrics=["accuracy"])
    model.fit(images, np.eye(4)[LABELS], verbose=0)
    model.evaluate(images, np.eye(4)[LABELS], verbose=0)
    model.predict(images, verbose=0)
    model.trainable = False
    after = explainer.explain(images, LABELS).numpy()
    assert np.abs(after - before).max() > 1e-5
    close(after, tfcam.GradCAM(model).explain(images, LABELS))
    # What was traced before is kept: it would be one trace, of the last call, had the model been traced anew.
    assert explainer.trace_count == 2


class Counting(TwoHeads):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def call(self, inputs):
        self.calls += 1
        return super().call(inputs)


def test_a_model_that_counts_its_calls_is_not_traced_for_each(images):
    explainer = tfcam.GradCAM(Counting())
    for resize in (True, False, True, False):
        explainer.explain(images, LABELS, resize=resize)
    assert explainer.trace_count == 2
    counted = explainer.model.calls
    explainer.explain(images, LABELS)
    assert explainer.model.calls == counted


def copied(explainer):
    return copy.deepcopy(explainer)


def pickled(explainer):
    return pickle.loads(pickle.dumps(explainer))


@pytest.mark.parametrize("copy_of", [copied, pickled, copy.copy])
def test_a_copy_of_an_explainer_gives_the_same_maps(images, copy_of):
    model = net(4, "softmax")
    explainer = tfcam.XGradCAM(model, output_layer=model.layers[-1], batch_size=2, conv_layer=model.layers[0])
    maps = explainer.explain(images, LABELS)
    other = copy_of(explainer)
    assert repr(other) == repr(explainer)
    same(other.explain(images, LABELS), maps)
    assert (other.model is model) == (copy_of is copy.copy)


def test_an_explainer_is_copied_before_its_model_has_seen_a_batch(images):
    body, head = parts()
    explainer = tfcam.GradCAM(Subclassed(body, head), conv_layer="conv_a")
    same(copy.copy(explainer).explain(images, LABELS), explainer.explain(images, LABELS))


def test_a_list_of_layers_is_copied(images, model):
    explainer = tfcam.GradCAM(model, conv_layer=[model.layers[1], "second"])
    same(pickled(explainer).explain(images, LABELS), explainer.explain(images, LABELS))


def test_a_change_that_cannot_be_seen_is_seen_after_a_reset(images):
    class Scaled(keras.Model):
        def __init__(self):
            super().__init__()
            self.conv, self.pool, self.dense = L.Conv2D(4, 3), L.GlobalAveragePooling2D(), L.Dense(4)
            self.scale = np.ones(1, "float32")

        def call(self, inputs):
            return self.dense(self.pool(self.conv(inputs))) * self.scale

    model = Scaled()
    explainer = tfcam.GradCAM(model)
    before = explainer.explain(images, LABELS)
    model.scale[:] = 3
    same(explainer.explain(images, LABELS), before)
    explainer.reset()
    close(explainer.explain(images, LABELS), 3 * before)
