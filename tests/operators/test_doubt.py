"""Why is the model unsure? Entropy and margin against tapes."""

import numpy as np
import pytest
import tensorflow as tf
from oracle import close, grad_cam_of, same
from small_models import head_of_logits, net

import tfcam

PAIRS = [[0, 1], [1, 3], [2, 0], [3, 1], [0, 2]]
SETS = [[0, 1], [0, 1, 2], [3, 2], [0, 1, 2, 3], [1, 3, 2]]


def maps_of(model, images, score):
    head = head_of_logits(model)
    return grad_cam_of(model.layers[0], lambda a: score(head(a)), images)


def entropy(logits, sets=((0, 1, 2, 3),) * 5):
    each = [tf.nn.softmax(tf.gather(row, list(one))) for row, one in zip(tf.unstack(logits), sets, strict=True)]
    return tf.stack([-tf.reduce_sum(p * tf.math.log(p)) for p in each])


def margin(logits):
    first, second = tf.unstack(tf.math.top_k(logits, 2).values, axis=-1)
    return second - first


@pytest.mark.parametrize("activation", [None, "softmax"])
def test_the_entropy_and_the_margin_are_those_of_a_tape(images, activation):
    model = net(4, activation)
    for measure, score in (("entropy", entropy), ("margin", margin)):
        found = tfcam.GradCAM(model, operator=tfcam.Doubt(measure)).explain(images, resize=False)[..., 0]
        close(found, maps_of(model, images, score), 1e-5)


def test_the_doubt_between_some_classes_is_that_of_a_tape(images):
    model = net(4)
    found = tfcam.GradCAM(model, operator="doubt").explain(images, SETS, resize=False)[..., 0]
    close(found, maps_of(model, images, lambda logits: entropy(logits, SETS)), 1e-5)
    multi_hot = np.array([[one in row for one in range(4)] for row in SETS], "float32")
    for given in (multi_hot, tf.ragged.constant(SETS), [set(row) for row in SETS]):
        close(tfcam.GradCAM(model, operator="doubt", batch_size=2).explain(images, given, resize=False)[..., 0], found)


def test_what_makes_it_sure_is_the_negative(images):
    model = net(4)
    sure = tfcam.GradCAM(model, operator=tfcam.Doubt("margin"), negative=True).explain(images, PAIRS, resize=False)
    weights = np.zeros((5, 4))
    scores = np.asarray(model(images))
    for image, pair in enumerate(PAIRS):
        first, second = sorted(pair, key=lambda one: -scores[image, one])
        weights[image, [first, second]] = 1, -1
    same(sure, tfcam.GradCAM(model).explain(images, weights, resize=False))


def test_a_single_unit_doubts_between_its_two_classes(images):
    model = net(1, "sigmoid")
    found = tfcam.GradCAM(model, operator="doubt").explain(images, resize=False)[..., 0]
    close(found, maps_of(model, images, lambda u: entropy(tf.concat([tf.zeros_like(u), u], -1), [(0, 1)] * 5)), 1e-5)


def test_a_model_that_is_sure_has_maps_of_numbers(images):
    model = net(4, "softmax", bias=[200.0, 0.0, 0.0, 0.0])
    for output in (None, -1):
        maps = tfcam.GradCAM(model, operator="doubt", output_layer=output).explain(images)
        assert np.isfinite(maps).all()


def test_the_two_highest_of_the_image_stay_the_same_two_on_perturbed_images(images):
    model = net(4)
    explainer = tfcam.AblationCAM(model, operator=tfcam.Doubt("margin"))
    two = np.argsort(np.asarray(model(images)), -1)[:, -2:]
    same(explainer.explain(images), explainer.explain(images, two))


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ([0, 1, 2, 3, 0], "image 0 are no two classes"),
        ([[0, 1], [2], [1, 2], [0, 3], [1, 2]], "image 1 are no two classes"),
        ([[0, 1], [2, 4], [1, 2], [0, 3], [1, 2]], "target 4 is out of range"),
        ([[0, 1], [], [1, 2, 3], [0, 3], [1, 2]], "image 1 has no class in its set"),
        ([[0, 1], [0, 1, 2]], "2 targets were given for 5 images"),
    ],
)
def test_sets_that_are_none_are_refused(images, targets, message):
    with pytest.raises(ValueError, match=message):
        tfcam.GradCAM(net(4), operator="doubt").explain(images, targets)
    with pytest.raises(ValueError, match="neither 'entropy' nor 'margin'"):
        tfcam.Doubt("entrpoy")
