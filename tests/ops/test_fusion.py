"""The maps of several layers as one."""

import numpy as np
import pytest
import tensorflow as tf
from oracle import close
from small_models import LABELS

import tfcam


def scaled(model, images, layer):
    raw = tfcam.GradCAM(model, conv_layer=layer).explain(images, LABELS, resize=False).numpy()
    return raw / raw.max(axis=(1, 2, 3), keepdims=True)


@pytest.mark.parametrize(
    ("fuse", "formula"),
    [
        ("mean", lambda shallow, deep: (shallow + deep) / 2),
        ("max", lambda shallow, deep: np.maximum(np.tanh(2 * shallow), deep)),
        ("product", lambda shallow, deep: shallow * deep),
    ],
)
def test_maps_are_fused_at_the_finest_grid(model, images, fuse, formula):
    shallow, deep = scaled(model, images, "first"), scaled(model, images, "second")
    deep = np.maximum(tf.image.resize(deep, (16, 12), "bicubic"), 0)
    maps = tfcam.GradCAM(model, conv_layer=["first", "second"], fuse=fuse).explain(images, LABELS)
    close(maps, formula(shallow, deep))


def test_the_sum_is_of_maps_as_they_are(model, images):
    raw = {one: tfcam.GradCAM(model, conv_layer=one).explain(images, LABELS).numpy() for one in ("first", "second")}
    maps = tfcam.GradCAM(model, conv_layer=["first", "second"], fuse="sum").explain(images, LABELS)
    close(maps, raw["first"] + raw["second"])


def test_layer_cam_takes_the_maximum_unless_asked_otherwise(model, images):
    layers = ["first", "second"]
    maximum = tfcam.LayerCAM(model, conv_layer=layers, fuse="max").explain(images, LABELS).numpy()
    close(tfcam.LayerCAM(model, conv_layer=layers).explain(images, LABELS), maximum, 1e-6)
    mean = tfcam.LayerCAM(model, conv_layer=layers, fuse="mean").explain(images, LABELS).numpy()
    assert np.abs(mean - maximum).max() > 0.1


def test_a_fusion_that_is_none_is_refused(model):
    with pytest.raises(ValueError, match="fuse='all' is unknown; choose from 'mean', 'max', 'product', 'sum'"):
        tfcam.GradCAM(model, fuse="all")
