"""The embedded transformers: convolutions make their patches, and attention mixes these."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tfcam.demo.scenes import CLASSES, SIZE

_DIM, _HEADS = 64, 4
#: Filters, sizes and strides of the convolutions that make 12 x 12 patches.
_STEM = [(24, 5, 2), (48, 3, 2), (64, 3, 1), (_DIM, 3, 2)]


def build_vit() -> Any:
    """Return the untrained vision transformer, of plain Keras layers, whose class token is read.

    Convolutions make the patches, since a transformer learns better so from few images: Xiao et al., Early convolutions
    help transformers see better, NeurIPS 2021. The class token is one of zeros, with the embedding of its place.
    """
    import keras

    layers, patches = keras.layers, 12 * 12
    image, x = _stem(layers, _STEM)
    x = layers.Reshape((patches, _DIM), name="patches")(x)
    x = layers.ZeroPadding1D((1, 0), name="class_token")(x)
    x = _placed(layers, x)
    for index in range(1, 5):
        x = _block(layers, x, index)
    x = layers.LayerNormalization(epsilon=1e-6, name="norm")(x)
    x = layers.Cropping1D((0, patches), name="read_class_token")(x)
    return _classifier(keras, image, layers.Flatten(name="flat")(x), "tfcam_demo_vit")


def build_swin() -> Any:
    """Return the untrained windowed transformer: two stages of 12 x 12 and 6 x 6 tokens, whose mean is read.

    Every second block shifts its windows by half of one, and what comes around the border is masked, as in Liu et al.,
    Swin Transformer, ICCV 2021. It has the embedding of each place in place of relative ones.
    """
    import keras

    layers, dim = keras.layers, 96
    image, x = _stem(layers, _STEM)
    x = _placed(layers, layers.Reshape((12 * 12, _DIM), name="patches")(x))
    for index in (1, 2):
        x = _block(layers, x, index, _Windows(keras, 12, 4, shift=2 * (index == 2)).around)
    x = layers.Reshape((6, 2, 6, 2 * _DIM), name="squares")(x)
    x = layers.Permute((1, 3, 2, 4), name="turned_squares")(x)
    x = layers.Reshape((6 * 6, 4 * _DIM), name="merged_squares")(x)
    x = layers.LayerNormalization(epsilon=1e-6, name="merging_norm")(x)
    x = layers.Dense(dim, use_bias=False, name="merging")(x)
    for index in (3, 4):
        x = _block(layers, x, index, _Windows(keras, 6, 3, shift=index == 4).around)
    x = layers.LayerNormalization(epsilon=1e-6, name="norm")(x)
    return _classifier(keras, image, layers.GlobalAveragePooling1D(name="average")(x), "tfcam_demo_swin")


def build_hybrid() -> Any:
    """Return the untrained hybrid: convolutions down to 12 x 12 cells, two blocks of attention, and their mean."""
    import keras

    layers = keras.layers
    image, x = _stem(layers, [*_STEM, (_DIM, 3, 1)])
    x = layers.Reshape((12 * 12, _DIM), name="tokens")(x)
    for index in (1, 2):
        x = _block(layers, x, index)
    x = layers.LayerNormalization(epsilon=1e-6, name="norm")(x)
    x = layers.Reshape((12, 12, _DIM), name="grid")(x)
    return _classifier(keras, image, layers.GlobalAveragePooling2D(name="average")(x), "tfcam_demo_hybrid")


#: The transformers by the names that `load_model` has for them.
BUILDERS: dict[str, Callable[[], Any]] = {"vit": build_vit, "swin": build_swin, "hybrid": build_hybrid}


def _stem(layers: Any, convolutions: list[tuple[int, int, int]]) -> tuple[Any, Any]:
    """Return an image, and what convolutions of these filters, sizes and strides make of it."""
    image = layers.Input((SIZE, SIZE, 3), name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="rescaling")(image)
    for index, (filters, kernel, strides) in enumerate(convolutions, start=1):
        x = layers.Conv2D(filters, kernel, strides, padding="same", use_bias=False, name=f"conv{index}")(x)
        x = layers.BatchNormalization(momentum=0.95, name=f"stem_norm{index}")(x)
        x = layers.ReLU(name=f"relu{index}")(x)
    return image, x


def _placed(layers: Any, x: Any) -> Any:
    """Return tokens with the embedding of their place: one bias for each token and channel."""
    return layers.EinsumDense("btc,cd->btd", tuple(x.shape[1:]), bias_axes="td", name="embedding")(x)


def _block(layers: Any, x: Any, index: int, around: Callable[[Callable[..., Any], Any], Any] | None = None) -> Any:
    """Return what a block makes of tokens; `around` calls its attention within windows."""
    dim = x.shape[-1]
    normed = layers.LayerNormalization(epsilon=1e-6, name=f"block{index}_norm1")(x)
    attention = layers.MultiHeadAttention(
        _HEADS, dim // _HEADS, attention_axes=(2,) if around else None, name=f"block{index}_attention"
    )
    mixed = around(attention, normed) if around else attention(normed, normed)
    x = layers.Add(name=f"block{index}_add1")([x, mixed])
    hidden = layers.LayerNormalization(epsilon=1e-6, name=f"block{index}_norm2")(x)
    hidden = layers.Dense(2 * dim, activation="gelu", name=f"block{index}_hidden")(hidden)
    hidden = layers.Dense(dim, name=f"block{index}_mlp")(hidden)
    return layers.Add(name=f"block{index}_add2")([x, hidden])


def _classifier(keras: Any, image: Any, x: Any, name: str) -> Any:
    x = keras.layers.Dense(len(CLASSES), name="logits")(x)
    return keras.Model(image, keras.layers.Softmax(name="predictions")(x), name=name)


class _Windows:
    """Windows of a square grid of tokens, which may be shifted."""

    def __init__(self, keras: Any, grid: int, size: int, shift: int) -> None:
        self._ops, self._grid, self._size, self._shift = keras.ops, grid, size, int(shift)

    def around(self, attention: Callable[..., Any], x: Any) -> Any:
        """Return what an attention gives of tokens ``(N, grid * grid, C)`` within windows."""
        ops, count, size, channels = self._ops, self._grid // self._size, self._size, x.shape[-1]
        x = self._rolled(ops.reshape(x, (-1, self._grid, self._grid, channels)), -self._shift)
        x = ops.transpose(ops.reshape(x, (-1, count, size, count, size, channels)), (0, 1, 3, 2, 4, 5))
        windows = ops.reshape(x, (-1, count * count, size * size, channels))
        windows = attention(windows, windows, attention_mask=self._mask() if self._shift else None)
        x = ops.reshape(windows, (-1, count, count, size, size, channels))
        x = ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, self._grid, self._grid, channels))
        return ops.reshape(self._rolled(x, self._shift), (-1, self._grid * self._grid, channels))

    def _rolled(self, x: Any, places: int) -> Any:
        return self._ops.roll(x, (places, places), (1, 2)) if places else x

    def _mask(self) -> np.ndarray:
        """Return, ``(1, windows, queries, keys)``, which tokens of a shifted window lie side by side in the image."""
        count, size, came_around = (
            self._grid // self._size,
            self._size,
            np.arange(self._grid) >= self._grid - self._shift,
        )
        tiles = (2 * came_around[:, None] + came_around).reshape(count, size, count, size)
        parts = tiles.transpose(0, 2, 1, 3).reshape(1, count * count, size * size)
        return np.asarray(parts[..., :, None] == parts[..., None, :])
