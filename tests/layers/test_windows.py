"""Windows as others than Keras' own examples write them: rolled by hand, merged by reshapes, of cells far apart."""

import keras
import numpy as np
import pytest
from kinds_of_model import targets_of
from model_rows import chain, pixels
from model_rows_tokens import DIM, Attention, Block, layer_norm, on_a_grid
from model_rows_windows import Windowed
from oracle import activations_and_gradients, grad_cam

import tfcam
from tfcam.demo import load_model, make_scenes

L, ops = keras.layers, keras.ops


class RolledByHand:
    """An attention within windows of a grid that is shifted by slices and concatenations."""

    def __init__(self, side):
        self.side, self.windows = side, Windowed(grid=(side, side), shift=0)

    def __call__(self, x):
        x = ops.reshape(x, (-1, self.side, self.side, DIM))
        x = ops.concatenate([x[:, 1:], x[:, :1]], axis=1)
        x = ops.concatenate([x[:, :, 1:], x[:, :, :1]], axis=2)
        x = self.windows(ops.reshape(x, (-1, self.side**2, DIM)))
        x = ops.reshape(x, (-1, self.side, self.side, DIM))
        x = ops.concatenate([x[:, -1:], x[:, :-1]], axis=1)
        x = ops.concatenate([x[:, :, -1:], x[:, :, :-1]], axis=2)
        return ops.reshape(x, (-1, self.side**2, DIM))


def merged_by_reshape(side):
    """Return what puts the four tokens of each square together, by reshapes and a transpose."""
    project = L.Dense(DIM, use_bias=False)

    def merge(x):
        x = ops.reshape(x, (-1, side // 2, 2, side // 2, 2, DIM))
        x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
        return project(ops.reshape(x, (-1, (side // 2) ** 2, 4 * DIM)))

    return merge


class FarApart:
    """A 1 x 1 convolution and an attention of cells that stand two apart, as in the grid of MaxViT."""

    def __init__(self):
        self.layers = L.Conv2D(DIM, 1), Attention()

    def __call__(self, x):
        x = ops.transpose(ops.reshape(x, (-1, 2, 2, 2, 2, DIM)), (0, 2, 4, 1, 3, 5))
        convolve, attend = self.layers
        x = attend(ops.reshape(convolve(ops.reshape(x, (-1, 2, 2, DIM))), (-1, 4, DIM)))
        x = ops.transpose(ops.reshape(x, (-1, 2, 2, 2, 2, DIM)), (0, 3, 1, 4, 2, 5))
        return ops.reshape(x, (-1, 16, DIM))


BODIES = {
    "rolled by hand": lambda: [Block(RolledByHand, side=8), merged_by_reshape(8), Block(RolledByHand, side=4)],
    "cells far apart": lambda: [merged_by_reshape(8), Block(FarApart)],
}


# A guess would be warned of.
@pytest.mark.filterwarnings("error::tfcam.ExplanationWarning")
@pytest.mark.parametrize("kind", BODIES)
def test_windows_lie_on_the_image_however_they_are_written(kind):
    keras.utils.set_random_seed(0)
    shape = (32, 32, 3)
    body = [L.Conv2D(DIM, 4, strides=4), L.Reshape((64, DIM)), *BODIES[kind](), layer_norm()]
    head = [L.GlobalAveragePooling1D(), L.Dense(4)]
    inputs = keras.Input(shape)
    model = keras.Model(inputs, chain(*body, *head)(inputs))
    row = on_a_grid(model, pixels(5, *shape), chain(*body), chain(*head), grid=(4, 4))
    targets, weights = targets_of(row)
    expected = grad_cam(*activations_and_gradients(row.body, row.head, row.images, weights))
    maps = tfcam.GradCAM(model).explain(row.inputs, targets, resize=False).numpy()[..., 0]
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(maps, expected, atol=1e-4 * np.abs(expected).max())
    assert tfcam.GradCAM(model).explain(row.inputs, targets).shape == (5, *shape[:2], 1)


@pytest.mark.parametrize("method", [tfcam.PolyCAM, tfcam.RefineCAM])
def test_the_stages_of_a_transformer_of_windows_are_its_grids(method):
    """Not its windows, though these are the last layers of a stage, some of them shifted."""
    model = load_model("swin")
    explainer = method(model)
    assert explainer.conv_layer[-1] == "norm"
    assert {info.grid for info in explainer.list_layers() if info.path in explainer.conv_layer} <= {
        *((size, size) for size in (6, 12, 24, 48))
    }
    images = make_scenes(1, seed=0).images.astype("float32")
    assert explainer.explain(images).numpy().max() > 0
