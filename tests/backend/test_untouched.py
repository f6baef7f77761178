"""A model is left as it was: while it is explained, and afterwards."""

import numpy as np
import pytest
import tensorflow as tf
from oracle import ORACLES, activations_and_gradients, close, same
from small_models import LABELS, ONE_HOT

import tfcam

PACKAGES = ["keras", "tf_keras"]


def regularised(package):
    layers = pytest.importorskip(package).layers
    return pytest.importorskip(package).Sequential(
        [
            layers.Input((16, 12, 3)),
            layers.Conv2D(4, 3, activity_regularizer="l2", kernel_regularizer="l2", activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(4),
        ]
    )


@pytest.mark.parametrize("package", PACKAGES)
def test_the_losses_of_a_models_last_call_stay(images, package):
    model = regularised(package)
    model(images)
    before = [float(loss) for loss in model.losses]
    tfcam.GradCAM(model).explain(images[:2], LABELS[:2])
    assert [float(loss) for loss in model.losses] == before and len(before) == 2


@pytest.mark.parametrize("package", PACKAGES)
def test_a_model_that_was_never_called_gets_no_losses_of_a_trace(images, package):
    model = regularised(package)
    before = len(model.losses)
    tfcam.GradCAM(model).explain(images, LABELS)
    assert len(model.losses) == before


@pytest.mark.parametrize("package", PACKAGES)
def test_a_regularised_model_trains_after_it_was_explained(images, package):
    model = regularised(package)
    explainer = tfcam.GradCAM(model)
    explainer.explain(images, LABELS)
    model.compile("sgd", "mse")
    losses = model.fit(images, ONE_HOT, epochs=2, verbose=0).history["loss"]
    assert np.isfinite(losses).all() and losses[1] < losses[0]
    close(explainer.explain(images, LABELS), tfcam.GradCAM(model).explain(images, LABELS))


@pytest.mark.parametrize("call", [lambda model, x: model(x), lambda model, x: model.call(x)], ids=["model", "call"])
def test_an_operator_may_call_the_model_as_it_likes(model, images, call):
    explainer = tfcam.GradCAM(model, operator=lambda model, x, y: tf.reduce_sum(call(model, x) * y, -1))
    same(explainer.explain(images, ONE_HOT), tfcam.GradCAM(model, output_layer=-1).explain(images, ONE_HOT))


def test_an_operator_that_fails_for_a_reason_of_its_own_says_it(model, images):
    def divides(model, x, y):
        return model(x)[:, 0] * (1 / len([]))

    with pytest.raises(ZeroDivisionError, match="division by zero"):
        tfcam.GradCAM(model, operator=divides).explain(images)


def with_a_python_if(package):
    layers, models = pytest.importorskip(package).layers, pytest.importorskip(package).Model

    class Dark(layers.Layer):
        def call(self, inputs):
            if tf.reduce_mean(inputs) > 0.0:
                inputs = inputs * 2.0
            return inputs

    class Net(models):
        def __init__(self):
            super().__init__()
            self.dark, self.conv, self.dense = Dark(), layers.Conv2D(4, 3, activation="relu"), layers.Dense(4)

        def call(self, inputs):
            inputs = self.dark(inputs)
            if tf.reduce_mean(inputs) < 0.0:
                inputs = -inputs
            return self.dense(tf.reduce_mean(self.conv(inputs), [1, 2]))

    return Net()


@pytest.mark.parametrize("sign", [1, -1])
def test_a_legacy_model_with_a_python_if_on_a_tensor_is_explained(images, sign):
    model, images = with_a_python_if("tf_keras"), sign * np.abs(images)
    model(images)
    model.predict(images, verbose=0)
    maps = tfcam.GradCAM(model).explain(images, LABELS, resize=False)[..., 0]

    def head(activations):
        return model.dense(tf.reduce_mean(activations, [1, 2]))

    seen = images * 2 if sign > 0 else -images
    close(maps, ORACLES["grad-cam"](*activations_and_gradients(model.conv, head, seen, ONE_HOT)))


def test_a_model_with_a_python_if_that_keras_3_cannot_compile_says_what_to_write(images):
    model = with_a_python_if("keras")
    model(images)
    with pytest.raises(ValueError, match=r"(?s)cannot be traced.*tf\.cond instead of if on a tensor"):
        tfcam.GradCAM(model).explain(images, LABELS)
