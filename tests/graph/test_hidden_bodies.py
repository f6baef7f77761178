"""Convolutions in compiled functions, where no layer can be seen: no layer before them is taken for the last."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from oracle import close

import tfcam

L, ops = keras.layers, keras.ops


@pytest.fixture
def x():
    return np.random.default_rng(0).uniform(size=(2, 20, 16, 3)).astype("float32")


def kernel(*shape):
    return tf.Variable(tf.random.stateless_uniform(shape, [1, 2], -0.5, 0.5))


class Function(L.Layer):
    """Convolutions in a tf.function, without a layer."""

    def __init__(self, channels, pools, **options):
        super().__init__(**options)
        self.kernels, self.pools = (kernel(3, 3, channels, 6), kernel(3, 3, 6, 5)), pools

    @tf.function
    def compiled(self, inputs):
        for one in self.kernels:
            inputs = tf.nn.relu(tf.nn.conv2d(inputs, one, 1, "SAME"))
        return tf.reduce_mean(inputs, axis=[1, 2]) if self.pools else inputs

    def call(self, inputs):
        return self.compiled(inputs)

    def compute_output_shape(self, shape):
        return (shape[0], 5) if self.pools else (*shape[:-1], 5)


class Loop(Function):
    """Convolutions in a loop."""

    def compiled(self, inputs):
        same = tf.random.stateless_uniform((3, 3, inputs.shape[-1], inputs.shape[-1]), [1, 2], -0.5, 0.5)
        _, found = tf.while_loop(
            lambda step, _: step < 2,
            lambda step, one: (step + 1, tf.nn.relu(tf.nn.conv2d(one, same, 1, "SAME"))),
            (tf.constant(0), inputs),
            shape_invariants=(tf.TensorShape([]), tf.TensorShape([None, *inputs.shape[1:]])),
        )
        return tf.reduce_mean(found, axis=[1, 2]) if self.pools else found

    def compute_output_shape(self, shape):
        return (shape[0], shape[-1]) if self.pools else shape


def exported(folder, pools):
    """Return a layer of a SavedModel with convolutions inside."""
    tail = [L.GlobalAveragePooling2D()] if pools else []
    body = keras.Sequential([keras.Input((18, 14, 4)), L.Conv2D(6, 3, activation="relu"), L.Conv2D(5, 3), *tail])
    body.export(folder / "saved", verbose=False)
    return L.TFSMLayer(str(folder / "saved"), call_endpoint="serve", name="hidden")


BODIES = {
    "SavedModel": lambda folder, pools: exported(folder, pools),
    "tf.function": lambda folder, pools: Function(4, pools, name="hidden"),
    "loop": lambda folder, pools: Loop(4, pools, name="hidden"),
}


def functional(stem, body, pools):
    inputs = keras.Input((20, 16, 3))
    features = body(stem(inputs))
    return keras.Model(
        inputs, L.Dense(3, kernel_initializer="ones")(features if pools else L.GlobalAveragePooling2D()(features))
    )


def sequential(stem, body, pools):
    tail = [] if pools else [L.GlobalAveragePooling2D()]
    return keras.Sequential([keras.Input((20, 16, 3)), stem, body, *tail, L.Dense(3)])


def nested(stem, body, pools):
    inner = keras.Sequential([keras.Input((20, 16, 3)), stem, body], name="inner")
    tail = [] if pools else [L.GlobalAveragePooling2D()]
    return keras.Sequential([keras.Input((20, 16, 3)), inner, *tail, L.Dense(3)])


class Subclassed(keras.Model):
    def __init__(self, stem, body, pools):
        super().__init__()
        self.stem, self.body, self.dense = stem, body, L.Dense(3, kernel_initializer="ones")
        self.pool = L.Identity() if pools else L.GlobalAveragePooling2D()

    def call(self, inputs):
        return self.dense(self.pool(self.body(self.stem(inputs))))


MAKERS = {"functional": functional, "sequential": sequential, "nested": nested, "subclassed": Subclassed}


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("body", BODIES)
def test_a_layer_before_a_hidden_body_that_pools_is_not_taken_for_the_last(body, kind, x, tmp_path):
    model = MAKERS[kind](L.Conv2D(4, 3, activation="relu", name="stem"), BODIES[body](tmp_path, True), True)
    with pytest.raises(ValueError, match=r"inside of .*hidden.*no layer can be seen.*conv_layer='(inner/)?stem'"):
        tfcam.GradCAM(model).explain(x, 0)
    if body != "SavedModel":  # which has no gradient
        assert tfcam.GradCAM(model, conv_layer="stem").explain(x, 0).shape == (2, 20, 16, 1)


@pytest.mark.parametrize("kind", ["functional", "subclassed"])
@pytest.mark.parametrize("body", BODIES)
def test_a_hidden_body_that_puts_out_a_grid_is_the_last_itself(body, kind, x, tmp_path):
    model = MAKERS[kind](L.Conv2D(4, 3, activation="relu", name="stem"), BODIES[body](tmp_path, False), False)
    explainer = tfcam.GradCAM(model)
    raw = explainer.explain(x, 1, resize=False)[..., 0]
    assert explainer.conv_layer == "hidden"
    layers = {layer.name: layer for layer in model.layers}
    activations = np.asarray(layers["hidden"](layers["stem"](x)))
    weights = model.layers[-1].kernel if kind == "functional" else model.dense.kernel
    close(raw, np.maximum(activations @ np.asarray(weights)[:, 1], 0) / np.prod(activations.shape[1:3]))


def test_branches_that_keras_compiles_itself_hide_nothing(x):
    inputs = keras.Input((20, 16, 6))
    one = L.GlobalAveragePooling2D()(L.Conv2D(6, 3, groups=3, name="left")(inputs))
    other = L.GlobalAveragePooling2D()(L.Conv2D(6, 3, groups=2, name="right")(inputs))
    model = keras.Model(inputs, L.Dense(2)(L.Concatenate()([one, other])))
    assert tfcam.GradCAM(model).conv_layer in ("left", "right")
