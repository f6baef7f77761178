"""Warnings, and models that change."""

import warnings

import keras
import pytest
import tensorflow as tf
from oracle import close
from small_models import net

import tfcam

L = keras.layers


@pytest.fixture
def x(images):
    return images


def test_a_warning_points_at_the_users_line(x):
    model = net(2)
    model.layers[-1].kernel.assign(tf.zeros_like(model.layers[-1].kernel))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tfcam.GradCAM(model).explain(x, 0)
    assert [w.filename for w in caught if w.category is tfcam.ExplanationWarning] == [__file__]


def test_a_change_of_the_model_is_seen_after_a_reset(x):
    model = net(3, "softmax")
    explainer = tfcam.GradCAM(model, output_layer=-1)
    explainer.explain(x, 0)
    model.layers[-1].activation = keras.activations.linear
    explainer.reset()
    close(explainer.explain(x, 0), tfcam.GradCAM(model, output_layer=-1).explain(x, 0))
