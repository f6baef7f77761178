"""Regions outlined on pictures."""

import numpy as np
import pytest

import tfcam


def test_a_region_is_outlined_in_white_and_around_that_in_black():
    mask = np.pad(np.ones((2, 2), bool), 1)
    plain = tfcam.blend(np.full((64, 64, 3), 0.5), np.zeros((64, 64)))
    for region in (mask, mask[..., None].astype("float32"), mask.repeat(16, 0).repeat(16, 1)):
        outlined = tfcam.blend(np.full((64, 64, 3), 0.5), np.zeros((64, 64)), region=region)
        changed = (outlined != plain).any(-1)
        assert not changed[16:48, 16:48].any() and not changed[:14].any() and not changed[:, 50:].any()
        assert (outlined[15, 16:48] == 255).all() and (outlined[48, 16:48] == 255).all()
        assert (outlined[14, 16:48] == 0).all() and (outlined[16:48, 49] == 0).all()
    figure = tfcam.plot(np.full((1, 64, 64, 3), 0.5), np.zeros((1, 2, 64, 64, 1)), regions=mask[None], colorbar=False)
    shown = [axes.images[0].get_array() for axes in figure.axes]
    assert len(np.unique(shown[0])) == 1
    for picture in shown[1:]:
        np.testing.assert_array_equal(
            picture, tfcam.blend(np.full((64, 64, 3), 0.5), np.zeros((64, 64)), 0.6, region=mask)
        )
    alone = tfcam.overlay(np.full((64, 64, 3), 0.5), np.zeros((64, 64)), region=mask, colorbar=False)
    np.testing.assert_array_equal(alone.axes[0].images[0].get_array(), outlined)


def test_regions_that_are_no_masks_of_the_images_are_refused():
    with pytest.raises(ValueError, match=r"2 regions were given for 1 images"):
        tfcam.plot(np.ones((1, 8, 8, 3)), np.ones((1, 8, 8)), regions=np.ones((2, 8, 8)))
    with pytest.raises(ValueError, match=r"a region is a mask \(h, w\) of one image, got the shape \(8, 8, 3\)"):
        tfcam.overlay(np.ones((8, 8, 3)), np.ones((8, 8)), region=np.ones((8, 8, 3)))
    with pytest.raises(ValueError, match=r"regions= and boxes= are outlined on images, and these are series"):
        tfcam.plot(np.ones((2, 9, 2)), np.ones((2, 9)), regions=np.ones((2, 9, 1)))
