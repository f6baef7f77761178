"""Masks at another grid."""

import numpy as np
import pytest
import tensorflow as tf

from tfcam.ops.nearest import nearest


@pytest.mark.parametrize("grid", [(8, 6), (16, 12), (13, 31), (3, 2), (1, 1)])
def test_a_pixel_has_the_cell_that_tensorflow_takes(grid):
    masks = np.random.default_rng(0).uniform(size=(4, 8, 6)) > 0.5
    expected = tf.image.resize(masks[..., None].astype("float32"), grid, "nearest")[..., 0]
    np.testing.assert_array_equal(nearest(masks, grid), expected)


def test_what_is_mirrored_stays_so_on_lines_and_in_volumes():
    for rank in (1, 3):
        masks = np.random.default_rng(0).uniform(size=(2, *[5] * rank)) > 0.5
        found = nearest(masks, [8] * rank)
        assert found.shape == (2, *[8] * rank)
        axes = tuple(range(1, rank + 1))
        np.testing.assert_array_equal(nearest(np.flip(masks, axes), [8] * rank), np.flip(found, axes))
