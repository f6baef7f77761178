"""The embedded vision transformer: a few convolutions, then blocks of attention whose class token is read."""

from __future__ import annotations

from typing import Any

from tfcam.demo.scenes import CLASSES, SIZE

_DIM, _HEADS, _BLOCKS, _GRID = 64, 4, 4, 12


def build_transformer() -> Any:
    """Return the untrained transformer, of plain Keras layers.

    Convolutions make the patches, since a transformer learns better so from few images: Xiao et al., Early convolutions
    help transformers see better, NeurIPS 2021. The class token is one of zeros, with the embedding of its place.
    """
    import keras

    layers, patches = keras.layers, _GRID * _GRID
    image = x = keras.Input((SIZE, SIZE, 3), name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="rescaling")(x)
    for index, (filters, kernel, strides) in enumerate([(24, 5, 2), (48, 3, 2), (64, 3, 1), (_DIM, 3, 2)], start=1):
        x = layers.Conv2D(filters, kernel, strides, padding="same", use_bias=False, name=f"conv{index}")(x)
        x = layers.BatchNormalization(momentum=0.95, name=f"stem_norm{index}")(x)
        x = layers.ReLU(name=f"relu{index}")(x)
    x = layers.Reshape((patches, _DIM), name="patches")(x)
    x = layers.ZeroPadding1D((1, 0), name="class_token")(x)
    # One bias for each token and channel: the embedding of its place.
    place = layers.EinsumDense("btc,cd->btd", (patches + 1, _DIM), bias_axes="td", name="embedding")
    x = place(x)
    for index in range(1, _BLOCKS + 1):
        x = _block(layers, x, index)
    x = layers.LayerNormalization(epsilon=1e-6, name="norm")(x)
    x = layers.Cropping1D((0, patches), name="read_class_token")(x)
    x = layers.Dense(len(CLASSES), name="logits")(layers.Flatten(name="flat")(x))
    return keras.Model(image, layers.Softmax(name="predictions")(x), name="tfcam_demo_vit")


def _block(layers: Any, x: Any, index: int) -> Any:
    normed = layers.LayerNormalization(epsilon=1e-6, name=f"block{index}_norm1")(x)
    mixed = layers.MultiHeadAttention(_HEADS, _DIM // _HEADS, name=f"block{index}_attention")(normed, normed)
    x = layers.Add(name=f"block{index}_add1")([x, mixed])
    hidden = layers.LayerNormalization(epsilon=1e-6, name=f"block{index}_norm2")(x)
    hidden = layers.Dense(2 * _DIM, activation="gelu", name=f"block{index}_hidden")(hidden)
    hidden = layers.Dense(_DIM, name=f"block{index}_mlp")(hidden)
    return layers.Add(name=f"block{index}_add2")([x, hidden])
