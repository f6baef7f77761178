"""Methods that take several layers where none is named: the last of each size of the grid, or every convolution."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from oracle import close, same
from oracle_masks import poly_cam
from small_models import LABELS, ONE_HOT, raw

import tfcam


def resized(maps, size, kernel="bicubic"):
    return tf.image.resize(maps[..., None], size, kernel).numpy().clip(0)[..., 0]


def scaled(maps):
    return maps / maps.max(axis=(1, 2), keepdims=True)


def test_stages_are_the_last_activations_of_each_size_and_convolutions_all_there_are(demo_model):
    assert tfcam.RefineCAM(demo_model).conv_layer == ["relu1", "relu3", "relu5"]
    assert tfcam.WinsorCAM(demo_model).conv_layer == [f"conv{n}" for n in range(1, 6)]


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        (
            "MobileNetV2",
            ["block_1_expand_relu", "block_3_expand_relu", "block_6_expand_relu", "block_13_expand_relu", "out_relu"],
        ),
        ("ResNet50", ["conv1_relu", "conv2_block3_out", "conv3_block4_out", "conv4_block6_out", "conv5_block3_out"]),
        ("VGG16", [f"block{n}_conv{2 if n < 3 else 3}" for n in range(1, 6)]),
    ],
)
def test_the_stages_of_a_large_model(name, stages):
    model = getattr(keras.applications, name)(weights=None, input_shape=(64, 64, 3), classes=5)
    assert tfcam.RefineCAM(model).conv_layer == stages


def test_refine_cam_is_the_product_of_the_scaled_maps_of_its_layers(model, images):
    each = {layer: scaled(raw(tfcam.GradCAMPlusPlus, model, images, conv_layer=layer)) for layer in ("first", "second")}
    close(raw(tfcam.RefineCAM, model, images), each["first"] * resized(each["second"], (16, 12)))


def test_winsor_cam_cuts_the_importance_of_the_loudest_layers(images):
    layers = [keras.layers.Conv2D(6, 3, padding="same", activation="relu", name=f"conv{n}") for n in range(4)]
    model = keras.Sequential([keras.Input((16, 12, 3)), *layers, keras.layers.Flatten(), keras.layers.Dense(4)])
    names = [layer.name for layer in layers]
    assert tfcam.WinsorCAM(model).conv_layer == names
    maps, beta = [], []
    for index, name in enumerate(names):
        body = keras.Model(model.inputs[0], model.get_layer(name).output)
        with tf.GradientTape() as tape:
            a = body(images)
            tape.watch(a)
            x = a
            for layer in model.layers[index + 1 :]:
                x = layer(x)
            score = tf.reduce_sum(x * np.eye(4)[LABELS])
        beta.append(np.maximum(tape.gradient(score, a).numpy().mean(axis=(1, 2, 3)), 0))
        one = raw(tfcam.GradCAM, model, images, conv_layer=name)
        maps.append(one / one.max(axis=(1, 2), keepdims=True))
    beta = np.array(beta).T
    assert (beta > 0).sum() > 8
    for percentile in (0, 30, 99):
        expected = np.zeros((5, 16, 12))
        for n, row in enumerate(beta):
            positive = row[row > 0]
            if not positive.size:
                continue
            cut = np.minimum(row, np.percentile(positive, percentile))
            low, high = cut[row > 0].min(), cut.max()
            share = 0.1 + 0.9 * (cut - low) / (high - low) if high > low else np.ones_like(cut)
            expected[n] = sum(s * one[n] for s, one, b in zip(share, maps, row, strict=True) if b > 0)
        close(raw(tfcam.WinsorCAM, model, images, percentile=percentile), expected)


def test_poly_cam_refines_from_coarse_to_fine(model, images):
    coarse = raw(tfcam.PolyCAM, model, images, conv_layer="second")
    fine = raw(tfcam.PolyCAM, model, images, conv_layer="first")
    around = resized(resized(fine, (8, 6), "bilinear"), (16, 12), "bilinear")
    local = np.divide(fine, around, out=np.zeros_like(fine), where=around != 0)
    close(raw(tfcam.PolyCAM, model, images), local * resized(coarse, (16, 12), "bilinear"))


def test_the_forms_of_poly_cam_ask_for_what_is_seen_and_what_is_left(model, images):
    body = keras.Model(model.inputs[0], model.get_layer("second").output)
    # The oracle takes the softmax of logits, and that of their logarithms is the probabilities.
    head = keras.Model(body.output, model.output)
    for form in ("+-", "+", "-"):
        maps = raw(tfcam.PolyCAM, model, images, conv_layer="second", form=form)
        assert maps.max() > 0
        close(maps, poly_cam(body, lambda a: np.log(head(a)), images, ONE_HOT, form))


def test_layers_can_be_named_all_the_same(model, images):
    assert tfcam.RefineCAM(model, conv_layer="second").conv_layer == "second"
    assert tfcam.RefineCAM(model).explain(images, LABELS).shape == (5, 16, 12, 1)
    maps = tfcam.compare(model, images, LABELS, ["refine-cam", "winsor-cam", "grad-cam"])
    same(maps["refine-cam"], tfcam.RefineCAM(model).explain(images, LABELS).numpy())
    same(maps["winsor-cam"], tfcam.WinsorCAM(model).explain(images, LABELS).numpy())
    same(maps["grad-cam"], tfcam.GradCAM(model).explain(images, LABELS).numpy())


def test_options_that_are_none_are_refused(model):
    with pytest.raises(ValueError, match="percentile=101 is none"):
        tfcam.WinsorCAM(model, percentile=101)
    with pytest.raises(ValueError, match="form='x' is unknown"):
        tfcam.PolyCAM(model, form="x")
