"""The embedded segmenter: the classifier's convolutions, and a way back up to the pixels."""

from __future__ import annotations

from typing import Any

from tfcam.demo.scenes import CLASSES

#: The layers of the classifier that the way back up is joined to, from the coarsest, and the filters it has there.
_SKIPS = {"relu5": 64, "relu3": 32, "relu1": 24}


def build_segmenter(classifier: Any) -> Any:
    """Return the untrained U-Net on the convolutions of a trained classifier, which stay as they are.

    Ronneberger et al., U-Net: convolutional networks for biomedical image segmentation, MICCAI 2015. The grids are
    48 x 48, 24 x 24, 12 x 12 and, coarsest, 6 x 6. Its output, ``(N, 96, 96, 9)``, has a probability of each class at
    each pixel; the last class is the background.
    """
    import keras

    layers = keras.layers
    x = layers.MaxPooling2D(name="pool5")(classifier.get_layer("relu5").output)
    x = convolution(layers, x, 96, "6")
    for skip, filters in _SKIPS.items():
        level = skip.removeprefix("relu")
        x = layers.UpSampling2D(name=f"up{level}")(x)
        x = layers.Concatenate(name=f"skip{level}")([x, classifier.get_layer(skip).output])
        x = convolution(layers, x, filters, f"_up{level}")
    x = layers.UpSampling2D(interpolation="bilinear", name="up0")(x)
    x = layers.Conv2D(len(CLASSES) + 1, 3, padding="same", name="logits")(x)
    return keras.Model(classifier.inputs[0], layers.Softmax(name="predictions")(x), name="tfcam_demo_segmenter")


def own_layers(segmenter: Any, classifier: Any) -> list[Any]:
    """Return the layers that are not the classifier's: those that are trained, and whose weights are shipped."""
    known = {id(layer) for layer in classifier.layers}
    return [layer for layer in segmenter.layers if id(layer) not in known]


def convolution(layers: Any, x: Any, filters: int, name: str) -> Any:
    """Return a 3 x 3 convolution, batch normalization and ReLU of x."""
    x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"conv{name}")(x)
    x = layers.BatchNormalization(momentum=0.95, name=f"norm{name}")(x)
    return layers.ReLU(name=f"relu{name}")(x)
