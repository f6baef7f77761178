"""What the papers prove of heads of a global average pooling and one Dense layer, and of flattened ones."""

import keras
import numpy as np
import pytest
from oracle import close

import tfcam

L = keras.layers
CLASSES, CHANNELS = 4, 6


def pooled(activation):
    inputs = keras.Input((16, 12, 3))
    x = L.Conv2D(CHANNELS, 3, activation=activation, name="conv")(inputs)
    outputs = L.Dense(CLASSES, bias_initializer="normal", name="dense")(L.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, outputs)


class Head:
    """Activations A ``(N, *grid, K)``, their means, the weights W ``(K, C)``, logits and probabilities."""

    def __init__(self, model, images):
        self.a = np.asarray(model.get_layer("conv")(images), "float64")
        self.mean, self.cells = self.a.mean(axis=(1, 2)), self.a.shape[1] * self.a.shape[2]
        self.w, self.bias = (np.asarray(one, "float64") for one in model.get_layer("dense").get_weights())
        self.z = self.mean @ self.w + self.bias
        odds = np.exp(self.z - self.z.max(axis=1, keepdims=True))
        self.p = odds / odds.sum(axis=1, keepdims=True)

    def weighted(self, weights):
        """Return ``sum_k w_k A_k`` of weights ``(K,)`` or ``(N, K)``."""
        return np.einsum("nk,nhwk->nhw", np.broadcast_to(weights, self.mean.shape), self.a)

    def cam(self, c):
        return self.weighted(self.w[:, c])

    def layer_cam(self, c):
        return self.weighted(np.maximum(self.w[:, c], 0)) / self.cells

    def elementwise(self, c):
        return np.maximum(self.w[:, c] * self.a, 0).sum(axis=-1) / self.cells

    def plus_plus(self, c):
        return self.weighted(np.maximum(self.w[:, c], 0) / (2 + self.w[:, c] * self.mean))

    def shapley(self, c):
        of_mean = self.mean @ self.w
        centred = of_mean - (self.p * of_mean).sum(axis=1, keepdims=True)
        weights = 2 * self.w[:, c] - self.p @ self.w.T + 0.5 * (self.p * centred) @ self.w.T
        return self.weighted(weights) / self.cells

    def finer(self, c):
        contrast = np.zeros_like(self.z)
        contrast[:, c] = 1
        for row, z in zip(contrast, self.z, strict=True):
            others = sorted((d for d in range(CLASSES) if d != c), key=lambda d: abs(z[d] - z[c]))
            row[others[:3]] = -0.6 / 3
        return self.weighted(contrast @ self.w.T) / self.cells

    def ablation(self, c):
        return self.weighted(self.w[:, c] * self.mean)


class AsTheAuthorsCode(tfcam.GradCAMPlusPlus):
    def __init__(self, *arguments, **named):
        super().__init__(*arguments, normalized=True, **named)


#: What each method is, for activations of any sign, and where none is negative.
ANY_SIGN = {
    tfcam.CAM: lambda head, c: head.cam(c),
    tfcam.GradCAM: lambda head, c: head.cam(c) / head.cells,
    tfcam.HiResCAM: lambda head, c: head.cam(c) / head.cells,
    tfcam.XGradCAM: lambda head, c: head.cam(c) / head.cells,
    tfcam.LayerCAM: lambda head, c: head.layer_cam(c),
    tfcam.GradCAMElementWise: lambda head, c: head.elementwise(c),
    tfcam.ShapleyCAM: lambda head, c: head.shapley(c),
    tfcam.FinerCAM: lambda head, c: head.finer(c),
    tfcam.AblationCAM: lambda head, c: head.ablation(c),
    tfcam.LIFTCAM: lambda head, c: head.ablation(c),
    tfcam.ReciproCAM: lambda head, c: head.cam(c) / head.cells,
}
NONNEGATIVE = ANY_SIGN | {
    tfcam.GradCAMPlusPlus: lambda head, c: head.plus_plus(c),
    AsTheAuthorsCode: lambda head, c: head.layer_cam(c),
    tfcam.GradCAMElementWise: lambda head, c: head.layer_cam(c),
}
ROWS = [("relu", *row) for row in NONNEGATIVE.items()] + [("linear", *row) for row in ANY_SIGN.items()]


@pytest.mark.filterwarnings("ignore:.*partly negative")
@pytest.mark.parametrize(("activation", "method", "form"), ROWS, ids=[f"{r[0]}-{r[1].__name__}" for r in ROWS])
def test_a_method_has_a_closed_form_on_a_pooled_head(activation, method, form, images):
    model = pooled(activation)
    explainer, head = method(model, conv_layer="conv", signed=True), Head(model, images)
    for target in range(CLASSES):
        close(explainer.explain(images, target, resize=False).numpy()[..., 0], form(head, target))


@pytest.mark.parametrize("method", [tfcam.HiResCAM, tfcam.XGradCAM])
@pytest.mark.parametrize("head", [[L.Flatten], [L.GlobalAveragePooling2D]], ids=["flattened", "pooled"])
def test_a_map_adds_up_to_the_score_less_the_bias_where_one_linear_layer_follows(method, head, images):
    layers = [L.Conv2D(CHANNELS, 3, activation="relu"), *(layer() for layer in head)]
    model = keras.Sequential([keras.Input((16, 12, 3)), *layers, L.Dense(CLASSES, bias_initializer="normal")])
    raw = method(model, signed=True).explain(images, 2, resize=False).numpy()
    score = model(images).numpy()[:, 2] - model.layers[-1].bias.numpy()[2]
    np.testing.assert_allclose(raw.sum(axis=(1, 2, 3)), score, atol=1e-5 * np.abs(score).max())


def test_grad_cam_does_not_add_up_where_the_gradient_varies(images):
    layers = [L.Conv2D(CHANNELS, 3, activation="relu"), L.Flatten(), L.Dense(CLASSES)]
    model = keras.Sequential([keras.Input((16, 12, 3)), *layers])
    raw = tfcam.GradCAM(model, signed=True).explain(images, 2, resize=False).numpy()
    score = model(images).numpy()[:, 2]
    assert np.abs(raw.sum(axis=(1, 2, 3)) - score).max() > 0.1 * np.abs(score).max()


def test_layer_cam_of_gradients_that_are_not_negative_is_hires_cam(images):
    model = pooled("relu")
    dense = model.get_layer("dense")
    dense.kernel.assign(np.abs(dense.kernel.numpy()))
    expected = tfcam.HiResCAM(model).explain(images, 1).numpy()
    close(tfcam.LayerCAM(model).explain(images, 1), expected, 1e-6)


# ---------------------------------------------------------------- CAM's head


def ending_in(*head):
    return keras.Sequential([keras.Input((16, 12, 3)), L.Conv2D(CHANNELS, 3, activation="relu", name="conv"), *head])


HEADS = {
    "a softmax behind it": lambda: [L.GlobalAveragePooling2D(), L.Dropout(0.5), L.Dense(4, activation="softmax")],
    "a normalisation between": lambda: [L.GlobalAveragePooling2D(), L.BatchNormalization(), L.Dense(4)],
    "a convolution of one cell behind it": lambda: [
        L.GlobalAveragePooling2D(keepdims=True),
        L.Conv2D(4, 1),
        L.Flatten(),
    ],
    "a convolution of one cell before it": lambda: [L.Conv2D(4, 1), L.GlobalAveragePooling2D()],
    "an average pooling of all cells": lambda: [L.AveragePooling2D((14, 10)), L.Flatten(), L.Dense(4)],
    "one unit": lambda: [L.GlobalAveragePooling2D(), L.Dense(1, activation="sigmoid")],
}
OTHER_HEADS = {
    "Reshape": lambda: [L.Flatten(), L.Dense(4)],
    "Relu": lambda: [L.GlobalAveragePooling2D(), L.Dense(5, activation="relu"), L.Dense(4)],
    "Max": lambda: [L.GlobalMaxPooling2D(), L.Dense(4)],
    "Conv2D": lambda: [L.Conv2D(4, 3), L.GlobalAveragePooling2D()],
}


@pytest.mark.parametrize("head", HEADS)
def test_cam_is_grad_cam_times_the_cells_on_every_head_of_its_kind(head, images):
    model = ending_in(*HEADS[head]())
    expected = tfcam.GradCAM(model, conv_layer="conv", signed=True).explain(images, 1, resize=False).numpy() * 14 * 10
    close(tfcam.CAM(model, conv_layer="conv", signed=True).explain(images, 1, resize=False), expected)


@pytest.mark.parametrize("operation", OTHER_HEADS)
def test_cam_says_what_is_in_the_way_on_any_other_head(operation, images):
    model = ending_in(*OTHER_HEADS[operation]())
    with pytest.raises(ValueError, match=rf"behind conv_layer 'conv', .* here comes {operation}\. Use GradCAM"):
        tfcam.CAM(model, conv_layer="conv").explain(images, 0)
    assert tfcam.GradCAM(model, conv_layer="conv").explain(images, 0).shape == (5, 16, 12, 1)


def test_a_fused_normalisation_before_the_pooling_weights_the_channels_of_cam():
    legacy = pytest.importorskip("tf_keras").layers
    layers = [legacy.Conv2D(CHANNELS, 3), legacy.BatchNormalization(), legacy.GlobalAveragePooling2D(), legacy.Dense(4)]
    model = pytest.importorskip("tf_keras").Sequential([legacy.Input((16, 12, 3)), *layers])
    random = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(random.uniform(0.5, 1.5, weight.shape))
    images = random.uniform(-1, 1, (2, 16, 12, 3)).astype("float32")
    activations = np.asarray(layers[0](images), "float64")
    scale, _, _, variance = (np.asarray(one, "float64") for one in layers[1].get_weights())
    weights = scale / np.sqrt(variance + layers[1].epsilon) * layers[3].get_weights()[0][:, 2]
    maps = tfcam.CAM(model, conv_layer=0, signed=True).explain(images, 2, resize=False)
    close(maps[..., 0], np.einsum("k,nhwk->nhw", weights, activations))
