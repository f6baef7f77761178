"""Boxes outlined on pictures."""

import numpy as np
import pytest

import tfcam

IMAGES, MAPS = np.full((2, 32, 32, 3), 0.5), np.zeros((2, 2, 32, 32, 1))
BOXES = np.float32([[[4, 8, 20, 24], [2, 2, 9, 30]], [[0, 0, 10, 10], [0, 0, 0, 0]]])


def pictures(**options):
    """Return the pictures of the maps of each image."""
    figure = tfcam.plot(IMAGES, MAPS, colorbar=False, **options)
    shown = [axes.images[0].get_array() for axes in figure.axes]
    return [shown[1:3], shown[4:6]]


def outlined(left, top, right, bottom):
    """Return the picture of a map with a box outlined, as a region is."""
    region = np.zeros((32, 32), bool)
    region[top:bottom, left:right] = True
    return tfcam.blend(IMAGES[0], MAPS[0, 0], 0.6, region=region)


def test_each_map_has_its_box():
    first, second = pictures(boxes=BOXES)
    np.testing.assert_array_equal(first[0], outlined(4, 8, 20, 24))
    np.testing.assert_array_equal(first[1], outlined(2, 2, 9, 30))
    np.testing.assert_array_equal(second[0], outlined(0, 0, 10, 10))
    # A box without an area is none, as where fewer are detected than asked for.
    assert len(np.unique(second[1])) == 1


def test_a_box_of_an_image_is_on_all_of_its_maps():
    for picture in pictures(boxes=BOXES[:, 0])[0]:
        np.testing.assert_array_equal(picture, outlined(4, 8, 20, 24))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"boxes": BOXES[:1]}, r"boxes have the shape \(1, 2, 4\); expected \(2, 4\), or \(2, 2, 4\)"),
        ({"boxes": BOXES[:, 0], "regions": np.ones((2, 32, 32))}, "outlined alike: give one of them"),
    ],
)
def test_boxes_that_are_not_of_the_maps_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        pictures(**options)
