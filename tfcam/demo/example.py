"""A trained classifier with images: ImageNet's where there is a network, the embedded ones elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tfcam.demo.downloads import imagenet_names, is_failed_download
from tfcam.demo.embedded import load_model
from tfcam.demo.scenes import CLASSES, make_scenes

#: Photographs of TensorFlow's own tutorials: a dog, a panda, a boat, a cat.
_PHOTOGRAPHS = "https://storage.googleapis.com/download.tensorflow.org/example_images/"
_FILES = (
    "YellowLabradorLooking_new.jpg",
    "Giant_Panda_2.jpeg",
    "San_Francisco_fireboat_showing_off.jpg",
    "320px-Felis_catus-cat_on_snow.jpg",
)


class Example(NamedTuple):
    """A classifier, images, and what goes with them.

    Attributes
    ----------
    model : keras.Model
        A classifier that ends in a softmax.
    images : numpy.ndarray
        ``(N, H, W, 3)`` float32, preprocessed as the model wants them.
    names : list of str
        The names of its classes.
    prepare : callable
        From any images ``(N, H, W, 3)`` in [0, 255] to what the model takes, size and range; a float32 tensor. It may
        stand in a ``tf.data`` pipeline.
    source : str
        What was loaded, and why, for people to read.
    """

    model: Any
    images: np.ndarray
    names: list[str]
    prepare: Callable[[Any], Any]
    source: str


def load_example(download: bool = True) -> Example:
    """Load MobileNetV2 with ImageNet's weights and four photographs, or, without a network, what is embedded.

    Parameters
    ----------
    download : bool
        Whether to try. 14 MB of weights and 1 MB of photographs are kept in Keras' own folder; what is there already
        needs no network. Without it, or where it fails, the model is `load_model()`'s and the images are scenes with
        two objects.

    Returns
    -------
    Example
    """
    if not download:
        return _embedded("the embedded classifier and its scenes")
    try:
        return _imagenet()
    except Exception as error:
        if not is_failed_download(error):
            raise
        return _embedded("the embedded classifier and its scenes: ImageNet's weights could not be downloaded")


def _embedded(source: str) -> Example:
    model = load_model()
    prepare = _preparation(model.input_shape[1:3], lambda images: images)
    return Example(model, prepare(make_scenes(4, objects=2, seed=7).images).numpy(), list(CLASSES), prepare, source)


def _imagenet() -> Example:
    import keras
    import tensorflow as tf

    application = keras.applications.mobilenet_v2
    model = keras.applications.MobileNetV2()
    names = imagenet_names(application)
    prepare = _preparation(model.input_shape[1:3], application.preprocess_input)
    photographs = []
    for file in _FILES:
        pixels = tf.io.decode_jpeg(tf.io.read_file(keras.utils.get_file(file, _PHOTOGRAPHS + file)), channels=3)
        photographs.append(prepare(_square(pixels)[None]))
    images = tf.concat(photographs, axis=0).numpy()
    return Example(model, images, names, prepare, "MobileNetV2 with ImageNet's weights, and photographs")


def _preparation(size: tuple[int, int], scale: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a function from images in [0, 255] to images of a size and range."""
    import tensorflow as tf

    return lambda images: scale(tf.image.resize(tf.cast(images, tf.float32), size, antialias=True))


def _square(image: Any) -> Any:
    """Return the square in the middle of an image ``(H, W, 3)``."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]
