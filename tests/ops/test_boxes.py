"""Boxes: overlaps, formats, masks and suppression, against what is counted by hand and what TensorFlow and Keras do."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfcam.ops.boxes import BOX_FORMATS, best_of_overlapping, box_masks, from_corners, iou, to_corners
from tfcam.ops.filled_boxes import filled

SIZE = tf.constant([30, 40])


def boxes(count=50, seed=0):
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 20, (count, 2))
    return np.concatenate([low, low + rng.uniform(1, 10, (count, 2))], axis=-1).astype("float32")


@pytest.mark.parametrize("box_format", BOX_FORMATS)
def test_formats_are_those_of_keras(box_format):
    expected = keras.utils.bounding_boxes.convert_format(boxes(), "xyxy", box_format, height=30, width=40)
    np.testing.assert_allclose(from_corners(boxes(), box_format, SIZE), expected, atol=1e-5)
    np.testing.assert_allclose(to_corners(tf.constant(expected), box_format, SIZE), boxes(), atol=1e-5)


def test_the_overlap_is_that_of_pixels_that_are_counted():
    whole = np.round(boxes())
    masks = np.stack([filled(box[None], (30, 40)) for box in whole])
    np.testing.assert_array_equal(box_masks(whole, SIZE), masks)
    both, either = masks[:, None] & masks, masks[:, None] | masks
    np.testing.assert_allclose(iou(whole[:, None], whole), both.sum((2, 3)) / either.sum((2, 3)), atol=1e-6)


def test_a_box_beyond_the_image_is_filled_within_it():
    beyond = np.float32([[-5, -8, 4, 6], [30, 20, 70, 50], [50, 2, 60, 9]])
    masks = [filled(box[None], (30, 40)) for box in beyond]
    np.testing.assert_array_equal(masks, box_masks(beyond, SIZE))
    assert [mask.sum() for mask in masks] == [24, 100, 0]


def test_of_boxes_that_overlap_the_best_is_left():
    rng = np.random.default_rng(1)
    each = np.stack([boxes(seed=1), boxes(seed=2)])
    scores = rng.uniform(0, 1, (2, 50)).astype("float32")
    kept, is_there = best_of_overlapping(each, scores, 40, 0.2, 0.4)
    for row in range(2):
        expected = tf.image.non_max_suppression(each[row], scores[row], 40, 0.2, 0.4)
        np.testing.assert_array_equal(kept[row][is_there[row]], expected)
        assert 1 < len(expected) < 40
