"""Smoother maps: the mean over an image's variants, and the first component in place of the sum."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from family_methods import Ablation, Dimming
from oracle import close, same
from small_models import LABELS

import tfcam


def signed(method, model, images, **options):
    return method(model, signed=True, **options).explain(images, LABELS, resize=False).numpy()


@pytest.mark.parametrize("method", [tfcam.GradCAM, tfcam.EigenCAM, Ablation, Dimming])
def test_augmentation_is_the_mean_over_images_mirrored_and_scaled_mapped_back(method, model, images):
    each = []
    for factor in (0.9, 1.0, 1.1):
        each.append(signed(method, model, factor * images))
        each.append(signed(method, model, factor * images[:, :, ::-1])[:, :, ::-1])
    close(signed(method, model, images, smooth="augment"), np.mean(each, axis=0))


@pytest.mark.parametrize("method", [tfcam.GradCAM, tfcam.EigenCAM, Ablation])
def test_noise_is_a_share_of_each_images_range_and_averaged_over(method, model, images):
    noise = [tf.random.stateless_normal((16, 12, 3), [5, sample]).numpy() for sample in range(4)]
    spread = images.max(axis=(1, 2, 3), keepdims=True) - images.min(axis=(1, 2, 3), keepdims=True)
    expected = np.mean([signed(method, model, images + 0.2 * spread * one) for one in noise], axis=0)
    close(signed(method, model, images, smooth=tfcam.Noise(samples=4, level=0.2, seed=5)), expected)


def test_a_smooth_map_explains_the_class_of_the_image_as_it_is(model, images):
    smooth = tfcam.GradCAM(model, smooth=tfcam.Noise(samples=2, level=5.0))
    classes = np.argmax(model(images), axis=-1)
    assert (np.argmax(model(images + 5 * np.random.default_rng(0).normal(size=images.shape)), -1) != classes).any()
    same(smooth.explain(images), smooth.explain(images, classes).numpy())


def test_smoothings_can_be_stacked(model, images):
    both = tfcam.GradCAM(model, smooth=[tfcam.Noise(samples=2), "augment"], signed=True)
    augmented = tfcam.GradCAM(model, smooth="augment", signed=True)
    noise = [tf.random.stateless_normal((16, 12, 3), [0, sample]).numpy() for sample in range(2)]
    spread = images.max(axis=(1, 2, 3), keepdims=True) - images.min(axis=(1, 2, 3), keepdims=True)
    each = [augmented.explain(images + 0.15 * spread * one, LABELS) for one in noise]
    close(both.explain(images, LABELS), np.mean(each, axis=0))


def test_the_first_component_takes_the_place_of_the_sum_over_the_channels(model, images):
    same(signed(tfcam.HiResCAM, model, images, smooth="eigen"), signed(tfcam.EigenGradCAM, model, images))
    maps = tfcam.GradCAM(model, smooth="eigen").explain(images, LABELS).numpy()
    assert np.abs(maps - tfcam.GradCAM(model).explain(images, LABELS)).max() > 0.01 * maps.max()


@pytest.mark.parametrize("smooth", ["augment", tfcam.Noise(samples=3), ["augment", "eigen"]])
def test_a_smooth_map_is_the_same_in_every_batch_each_time_and_for_several_classes(model, images, smooth):
    explainer = tfcam.LayerCAM(model, smooth=smooth, batch_size=2)
    maps = explainer.explain(images, LABELS).numpy()
    same(tfcam.LayerCAM(model, smooth=smooth).explain(images, LABELS), maps)
    same(explainer.explain(tf.data.Dataset.from_tensor_slices((images, LABELS))), maps)
    same(explainer.explain_classes(images, LABELS[:, None])[:, 0], maps)
    assert np.isfinite(maps).all() and maps.max() > 0


@pytest.mark.parametrize("shape", [(40, 2), (9, 8, 6, 1)], ids=["1-D", "3-D"])
@pytest.mark.parametrize("smooth", ["augment", "noise", "eigen"])
def test_maps_of_any_grid_are_smoothed(shape, smooth):
    convolution = {2: keras.layers.Conv1D, 4: keras.layers.Conv3D}[len(shape)]
    layers = [keras.Input(shape), convolution(4, 3, activation="relu"), keras.layers.Flatten(), keras.layers.Dense(3)]
    x = np.random.default_rng(0).uniform(-1, 1, (2, *shape)).astype("float32")
    assert tfcam.GradCAM(keras.Sequential(layers), smooth=smooth).explain(x, 1).shape == (2, *shape[:-1], 1)


def test_a_smoothing_that_is_none_is_refused(model):
    with pytest.raises(ValueError, match=r"smooth='blur' is unknown; it is 'augment', 'noise', 'eigen', tfcam.Aug"):
        tfcam.GradCAM(model, smooth="blur")
    with pytest.raises(ValueError, match="EigenCAM are no such sum"):
        tfcam.EigenCAM(model, smooth="eigen")
    with pytest.raises(ValueError, match="samples of at least 1"):
        tfcam.Noise(samples=0)
    with pytest.raises(ValueError, match="at least one factor"):
        tfcam.Augment(factors=())
