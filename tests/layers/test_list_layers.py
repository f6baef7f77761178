"""What is said of a model's layers is true: of built models, of models without a grid, of ensembles."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfcam

L, ops = keras.layers, keras.ops


@pytest.fixture
def x():
    return np.random.default_rng(0).uniform(size=(3, 16, 12, 3)).astype("float32")


# ---------------------------------------------------------------- models that are built and declare nothing


def subclassed(package, reads):
    class Model(package.Model):
        def __init__(self):
            super().__init__()
            self.conv, self.dense = package.layers.Conv2D(3, 3, name="conv"), package.layers.Dense(2)
            self.pool = package.layers.GlobalAveragePooling2D()

        def call(self, inputs):
            return self.dense(self.pool(self.conv(reads(inputs))))

    return Model()


CALLS = {
    "an array": (lambda x: x, lambda x: x),
    "a list": (lambda inputs: inputs[0] + inputs[1], lambda x: [x, x]),
    "a dict": (lambda inputs: inputs["image"], lambda x: {"image": x}),
}


@pytest.mark.parametrize("kind", CALLS)
@pytest.mark.parametrize("package", ["keras", "tf_keras"])
def test_the_layers_of_a_model_that_was_called_are_listed(package, kind, x):
    reads, inputs = CALLS[kind]
    model = subclassed(pytest.importorskip(package), reads)
    with pytest.raises(ValueError, match=r"is not built: list_layers\(model, inputs\) needs one batch"):
        tfcam.list_layers(model)
    model(inputs(x))
    assert [(info.path, info.grid) for info in tfcam.list_layers(model)] == [("conv", (14, 10))]
    assert tfcam.list_layers(model) == tfcam.list_layers(model, inputs(x))


# ---------------------------------------------------------------- models without a grid to explain


def patches():
    inputs = keras.Input((16, 12, 3))
    tokens = L.Reshape((12, 48))(ops.image.extract_patches(inputs, 4))
    tokens = L.Dense(8, activation="gelu")(tokens)
    tokens = tokens + L.MultiHeadAttention(2, 4)(tokens, tokens)
    return keras.Model(inputs, L.Dense(2)(L.GlobalAveragePooling1D()(tokens)))


def recurrent():
    layers = [L.Masking(), L.Bidirectional(L.GRU(4))]
    return keras.Sequential([keras.Input((16, 3)), *layers, L.Dense(2)])


def masked_lstm():
    inputs = keras.Input((16, 3))
    return keras.Model(inputs, L.Dense(2)(L.LSTM(4)(L.Masking()(inputs))))


def too_small():
    return keras.Sequential([keras.Input((4, 4, 3)), L.Conv2D(3, 4), L.Flatten(), L.Dense(2)])


@pytest.mark.parametrize(
    ("make", "said", "unsaid"),
    [
        (patches, None, "larger images"),
        (recurrent, "has no convolutional layer", "tf.function"),
        (masked_lstm, "has no convolutional layer", "tf.function"),
        (too_small, "build it for larger images", "patches"),
    ],
)
def test_a_model_without_a_default_layer_is_told_the_reason(make, said, unsaid):
    try:
        tfcam.GradCAM(make())
    except ValueError as error:
        assert said is None or said in str(error)
        assert unsaid not in str(error)
    else:
        assert said is None


def test_an_alignment_that_is_not_known_says_why(x):
    inputs = keras.Input((16, 12, 3))
    tokens = L.Reshape((192, 3))(inputs)
    seen = L.Reshape((16, 12, 3))(L.Attention()([tokens, tokens]))
    last = L.Conv2D(4, 3, padding="same", activation="relu", name="last")(seen)
    explainer = tfcam.GradCAM(keras.Model(inputs, L.Dense(2)(L.GlobalAveragePooling2D()(last))), conv_layer="last")
    with pytest.raises(ValueError, match=r"an attention, a loop.*align='effective'"):
        explainer.explain(x, 0, resize="aligned")


# ---------------------------------------------------------------- branches


def member(name):
    return [
        L.Conv2D(4, 3, activation="relu", name=f"{name}_conv"),
        L.GlobalAveragePooling2D(),
        L.Dense(2, name=f"{name}_out"),
    ]


def ensemble(join):
    inputs = keras.Input((16, 12, 3))
    outputs = []
    for name in ("one", "other"):
        out = inputs
        for layer in member(name):
            out = layer(out)
        outputs.append(out)
    return keras.Model(inputs, join(outputs))


def siamese():
    one, other = keras.Input((16, 12, 3)), keras.Input((16, 12, 3))
    net = keras.Sequential([keras.Input((16, 12, 3)), L.Conv2D(4, 3, name="conv"), L.GlobalAveragePooling2D()])
    return keras.Model([one, other], L.Dense(2)(L.Concatenate()([net(one), net(other)])))


BRANCHED = {
    "a mean": lambda: ensemble(lambda outputs: L.Average()(outputs)),
    "a vote by a head": lambda: ensemble(lambda outputs: L.Dense(2)(L.Concatenate()(outputs))),
    "two inputs": siamese,
}


@pytest.mark.parametrize("kind", BRANCHED)
def test_the_map_of_one_branch_of_several_is_told(kind, x):
    model = BRANCHED[kind]()
    inputs = [x, x] if kind == "two inputs" else x
    explainer = tfcam.GradCAM(model)
    with pytest.warns(tfcam.ExplanationWarning, match="2 branches that meet after their grids have ended") as told:
        explainer.explain(inputs, 0)
    names = str(told[0].message).rpartition("conv_layer=")[2].rstrip(".")
    with warnings.catch_warnings():
        warnings.simplefilter("error", tfcam.ExplanationWarning)
        explainer.explain(inputs, 0)  # once
        tfcam.GradCAM(model, conv_layer=eval(names), signed=True).explain(inputs, 0)


def test_levels_that_are_all_pooled_are_one_branch(x):
    inputs = keras.Input((16, 12, 3))
    levels = [L.Conv2D(4, 3, activation="relu")(inputs)]
    levels.append(L.Conv2D(4, 3, activation="relu")(levels[0]))
    model = keras.Model(inputs, L.Dense(2)(L.Concatenate()([L.GlobalAveragePooling2D()(level) for level in levels])))
    with warnings.catch_warnings():
        warnings.simplefilter("error", tfcam.ExplanationWarning)
        tfcam.FEM(model).explain(tf.constant(x), 0)
