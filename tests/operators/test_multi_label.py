"""Several classes of an image together."""

import numpy as np
import pytest
import tensorflow as tf
from oracle import close, same
from small_models import LABELS, net

import tfcam

SETS = [[0], [1, 3], [2, 0, 1], [3], [0, 1, 2, 3]]
MULTI_HOT = np.array([[one in row for one in range(4)] for row in SETS], "float32")


@pytest.fixture
def model():
    return net(4, "sigmoid")


@pytest.mark.parametrize(
    "sets",
    [
        SETS,
        [set(row) for row in SETS],
        [np.array(row) for row in SETS],
        tf.ragged.constant(SETS),
        MULTI_HOT,
        MULTI_HOT.astype(bool).astype(int),
        [row + [-1] * (5 - len(row)) for row in SETS],
    ],
    ids=["lists", "sets", "arrays", "a ragged tensor", "labels", "integer labels", "padded"],
)
def test_a_set_is_the_sum_of_its_classes_however_it_is_given(model, images, sets):
    expected = tfcam.GradCAM(model).explain(images, MULTI_HOT)
    for batch_size in (2, 32):
        same(tfcam.GradCAM(model, operator="multi-label", batch_size=batch_size).explain(images, sets), expected)


def test_sets_come_from_datasets(model, images):
    expected = tfcam.GradCAM(model).explain(images, MULTI_HOT)
    explainer = tfcam.GradCAM(model, operator="multi-label")
    for labels in (tf.ragged.constant(SETS), MULTI_HOT):
        dataset = tf.data.Dataset.from_tensor_slices((images, labels)).batch(2)
        same(explainer.explain(dataset), expected)
        same(tf.concat([maps for *_, maps in explainer.map(dataset)], 0), expected)
    pairs = tf.ragged.constant([[0, 1], [2, 3], [1, 3], [0, 2], [3, 1]])
    close(explainer.explain(images, pairs), explainer.explain(images, pairs.to_list()))


def test_without_targets_it_is_what_the_model_predicts(model, images):
    units = np.asarray(model(images)) > 0.5
    highest = np.eye(4)[np.asarray(model(images)).argmax(-1)]
    predicted = np.where(units.any(-1, keepdims=True), units, highest)
    close(
        tfcam.GradCAM(model, operator="multi-label").explain(images),
        tfcam.GradCAM(model).explain(images, predicted),
    )


def test_one_class_is_a_classification(model, images):
    explainer = tfcam.GradCAM(model, operator="multi-label")
    same(explainer.explain(images, LABELS), tfcam.GradCAM(model).explain(images, LABELS))


def test_sets_where_one_class_is_explained_say_what_to_do(model, images):
    with pytest.raises(TypeError, match="give operator='multi-label'"):
        tfcam.GradCAM(model).explain(images, SETS)


def test_sets_that_are_none_are_refused(model, images):
    explainer = tfcam.GradCAM(model, operator="multi-label")
    for sets, message in (
        ([[0], [1], [], [2], [3, 1]], "image 2 has no class"),
        ([[0], [1], [7, 1], [2], [3]], "target 7 is out of range"),
        ([[0], [1, 2]], "2 targets were given for 5 images"),
    ):
        with pytest.raises(ValueError, match=message):
            explainer.explain(images, sets)
