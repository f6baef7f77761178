"""Levels in an order: expected level and log-odds against tapes."""

import numpy as np
import pytest
import tensorflow as tf
from oracle import close, grad_cam_of, same
from small_models import head_of_logits, net

import tfcam

LEVELS = [1, 3, 2, 3, 1]


def maps_of(model, images, score):
    head = head_of_logits(model)
    return grad_cam_of(model.layers[0], lambda a: score(head(a)), images)


def at_least(logits):
    """Return the log-odds of LEVELS, of a softmax."""
    p = tf.nn.softmax(logits)
    above = tf.stack([tf.reduce_sum(row[level:]) for row, level in zip(tf.unstack(p), LEVELS, strict=True)])
    return tf.math.log(above / (1 - above))


SCORES = {
    "level": lambda z: tf.reduce_sum(tf.nn.softmax(z) * [0.0, 1.0, 2.0, 3.0], -1),
    "at least": at_least,
    "steps": lambda z: tf.reduce_sum(tf.sigmoid(z), -1),
    "at least, steps": lambda z: tf.gather(z, np.array(LEVELS) - 1, batch_dims=1),
}


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("output_layer", [None, -1])
def test_the_score_is_that_of_a_tape(images, name, output_layer):
    cumulative, is_level = "steps" in name, "at least" not in name
    model = net(3, "sigmoid") if cumulative else net(4, "softmax")
    operator = tfcam.Ordinal("level" if is_level else "at least", cumulative)
    explainer = tfcam.GradCAM(model, output_layer=output_layer, operator=operator)
    found = explainer.explain(images, None if is_level else LEVELS, resize=False)[..., 0]
    close(found, maps_of(model, images, SCORES[name]), 1e-4 if output_layer else 1e-5)


def test_why_it_is_low_is_the_negative_of_why_it_is_high(images):
    model = net(4)
    same(
        tfcam.GradCAM(model, operator="ordinal").explain(images, [-1] * 5),
        tfcam.GradCAM(model, operator="ordinal", negative=True).explain(images),
    )


def test_the_default_level_is_the_predicted_one(images):
    model = net(4)
    expected = np.sum(np.asarray(tf.nn.softmax(model(images))) * np.arange(4), -1)
    explainer = tfcam.GradCAM(model, operator=tfcam.Ordinal("at least"))
    same(explainer.explain(images), explainer.explain(images, np.maximum(np.round(expected), 1)))


def test_what_is_no_level_is_refused(images):
    explainer = tfcam.GradCAM(net(4), operator=tfcam.Ordinal("at least"))
    for targets, message in ((0, "give levels from 1"), (4, "target 4 is out of range"), ([1, 2], "2 targets")):
        with pytest.raises(ValueError, match=message):
            explainer.explain(images, targets)
    with pytest.raises(ValueError, match="1, why it is high, or -1"):
        tfcam.GradCAM(net(4), operator="ordinal").explain(images, 2)
    with pytest.raises(ValueError, match="a single unit, which is one level"):
        tfcam.GradCAM(net(1), operator="ordinal")
    with pytest.raises(ValueError, match="neither 'level' nor 'at least'"):
        tfcam.Ordinal("at most")
