"""The layer that is explained where none is named."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from oracle import close
from small_models import Beside

import tfcam

L = keras.layers


@pytest.fixture
def x(images):
    return images


def unet_without_downsampling():
    inputs = keras.Input((None, None, 3))
    a = L.Conv2D(4, 3, padding="same", activation="relu", name="inner")(inputs)
    return keras.Model(inputs, L.Conv2D(5, 1, name="out")(a)), "inner"


def through_dense():
    inputs = keras.Input((16, 12, 3))
    a = L.Conv2D(4, 3, activation="relu", name="inner")(inputs)
    return keras.Model(inputs, L.Reshape((3, 3, 5))(L.Dense(45)(L.Flatten()(a)))), "inner"


def softmax_over_channels_first():
    inputs = keras.Input((16, 12, 3))
    a = L.Conv2D(4, 3, activation="relu", name="inner")(inputs)
    return keras.Model(inputs, L.Softmax(axis=1)(L.Permute((3, 1, 2))(L.Conv2D(5, 1)(a)))), "inner"


def fused_softmax():
    inputs = keras.Input((16, 12, 3))
    a = L.Conv2D(4, 3, activation="relu", name="inner")(inputs)
    return keras.Model(inputs, L.Conv2D(5, 1, activation="softmax")(a)), "inner"


def beside_the_convolution():
    return Beside(), "inner"


def pooled_last():
    return keras.Sequential(
        [keras.Input((16, 12, 3)), L.Conv2D(4, 3, name="inner"), L.MaxPooling2D(), L.Flatten(), L.Dense(2)]
    ), "inner"


class RawConvolution(L.Layer):
    def build(self, shape):
        self.kernel = self.add_weight(shape=(3, 3, shape[-1], 4))

    def call(self, inputs):
        return tf.nn.relu(tf.nn.conv2d(inputs, self.kernel, 1, "SAME"))


def convolution_of_no_class():
    return keras.Sequential([keras.Input((16, 12, 3)), RawConvolution(name="inner"), L.Flatten(), L.Dense(2)]), "inner"


@pytest.mark.parametrize(
    "make",
    [
        unet_without_downsampling,
        through_dense,
        softmax_over_channels_first,
        fused_softmax,
        beside_the_convolution,
        pooled_last,
        convolution_of_no_class,
    ],
)
def test_the_default_layer_is_the_last_activation_of_a_convolution_that_is_no_output_and_no_pooling(x, make):
    model, wanted = make()
    explainer = tfcam.GradCAM(model)
    assert explainer.explain(x, 0).shape == (5, 16, 12, 1)
    assert explainer.conv_layer == wanted
    assert [info.path for info in explainer.list_layers() if info.default] == [wanted]


def test_the_default_layer_is_on_the_way_to_the_chosen_output(x):
    inputs = keras.Input((16, 12, 3))
    low = L.Conv2D(4, 3, 2, padding="same", activation="relu", name="encoder")(inputs)
    up = L.Conv2DTranspose(4, 3, 2, padding="same", activation="relu", name="decoder")(low)
    mask = L.Conv2D(2, 1, name="mask")(up)
    model = keras.Model(inputs, {"mask": mask, "cls": L.Dense(3, name="cls")(L.GlobalAveragePooling2D()(low))})
    assert tfcam.GradCAM(model, output_layer="cls").conv_layer == "encoder"
    assert [info.path for info in tfcam.list_layers(model)] == ["encoder", "decoder", "mask"]


@pytest.mark.parametrize("activation", [None, "softmax", "sigmoid"])
@pytest.mark.parametrize("apart", [True, False], ids=["a layer of its own", "of the last layer"])
def test_every_listed_layer_of_a_segmentation_is_explained(x, activation, apart):
    inputs = keras.Input((16, 12, 3))
    low = L.Conv2D(4, 3, 2, padding="same", activation="relu", name="encoder")(inputs)
    mask = L.Conv2DTranspose(2, 3, 2, "same", activation=None if apart else activation, name="mask")(low)
    model = keras.Model(inputs, L.Activation(activation, name="shares")(mask) if apart else mask)
    listed = [info.path for info in tfcam.list_layers(model)]
    # Probabilities are behind the logits that are explained; without an activation the output is explained itself.
    own = ["mask"] if apart or activation is None else []
    assert listed == ["encoder", *own, *(["shares"] if apart and activation is None else [])]
    for layer in listed:
        assert tfcam.GradCAM(model, operator="segmentation", conv_layer=layer).explain(x).shape == (5, 16, 12, 1)


class Hidden(keras.Model):
    def __init__(self, everything):
        super().__init__()
        self.stem, self.body = L.Conv2D(4, 3, name="stem"), L.Conv2D(4, 3, name="body")
        self.pool, self.dense, self.everything = L.GlobalAveragePooling2D(), L.Dense(2), everything

    @tf.function
    def inner(self, inputs):
        return self.body(self.stem(inputs) if self.everything else inputs)

    def call(self, inputs):
        return self.dense(self.pool(self.inner(inputs if self.everything else self.stem(inputs))))


@pytest.mark.parametrize("everything", [True, False])
def test_layers_inside_a_function_are_named_not_passed_over(x, everything):
    with pytest.raises(ValueError, match=r"body.* inside a tf.function.*decorator"):
        tfcam.GradCAM(Hidden(everything)).explain(x, 0)


class Fresh(keras.Model):
    def __init__(self):
        super().__init__()
        self.stem, self.pool, self.dense = L.Conv2D(4, 3, name="stem"), L.GlobalAveragePooling2D(), L.Dense(2)

    def call(self, inputs):
        return self.dense(self.pool(L.ReLU(name="fresh")(self.stem(inputs))))


class RandomDepth(keras.Model):
    """A model that leaves its last block out every other time, as dice would."""

    def __init__(self):
        super().__init__()
        self.stem, self.block, self.out = L.Conv2D(4, 3, name="stem"), L.Conv2D(4, 3, name="block"), L.Dense(2)
        self.pool, self.times = L.GlobalAveragePooling2D(), 0

    def call(self, inputs):
        self.times += 1
        return self.out(self.pool(self.block(self.stem(inputs)) if self.times % 2 else self.stem(inputs)))


def test_a_layer_that_is_called_at_random_is_explained_in_the_run_that_calls_it(x):
    model = RandomDepth()
    model(x), model(x)  # so that the layers are looked for in a run that calls the block, and it is missed in the next
    explainer = tfcam.GradCAM(model, conv_layer="block", signed=True)
    maps = explainer.explain(x, 0, resize=False).numpy()
    activations = model.block(model.stem(x)).numpy()
    weights = model.out.kernel.numpy()[:, 0] / np.prod(activations.shape[1:3])
    np.testing.assert_allclose(maps[..., 0], activations @ weights, atol=1e-6)
    # What needs another run says so.
    with pytest.raises(ValueError, match=r"does not call \['block'\] each time.*call them always; or name another"):
        for _ in range(2):
            tfcam.GradCAM(model, conv_layer="block", smooth="augment").explain(x, 0)
    assert tfcam.GradCAM(model, conv_layer="stem").explain(x, 0).shape == (5, 16, 12, 1)


def test_a_layer_made_in_call_is_an_error_that_says_so(x):
    with pytest.raises(ValueError, match=r"make its layers in\s+__init__"):
        tfcam.GradCAM(Fresh()).explain(x, 0)
    assert tfcam.GradCAM(Fresh(), conv_layer="stem").explain(x, 0).shape == (5, 16, 12, 1)


@pytest.mark.parametrize("known", [True, False])
def test_a_segmentation_without_a_fixed_size_is_explained_at_its_coarsest_grid(known):
    inputs = keras.Input((32, 32, 3) if known else (None, None, 3))
    a = L.Conv2D(4, 3, padding="same", activation="relu")(inputs)
    low = L.Conv2D(4, 3, 2, padding="same", activation="relu", name="bottom")(a)
    up = L.Conv2DTranspose(4, 3, 2, padding="same", activation="relu")(low)
    model = keras.Model(inputs, L.Conv2D(3, 1)(L.Concatenate()([a, up])))
    assert tfcam.GradCAM(model).conv_layer == "bottom"


class Compiled(L.Layer):
    """A block whose author compiled it."""

    def __init__(self, name):
        super().__init__(name=name)
        self.conv = L.Conv2D(4, 3, activation="relu", name="inner")

    @tf.function
    def call(self, inputs):
        return self.conv(inputs)


class Augmented(L.Layer):
    """Augmentation image by image, by a layer, in a loop of TensorFlow's."""

    def __init__(self):
        super().__init__()
        self.scale = L.Rescaling(2.0, name="scale")

    def call(self, inputs):
        return tf.map_fn(self.scale, inputs)


class Blocks(keras.Model):
    def __init__(self, *blocks):
        super().__init__()
        self.blocks, self.pool, self.dense = blocks, L.GlobalAveragePooling2D(), L.Dense(2)

    def call(self, inputs):
        for block in self.blocks:
            inputs = block(inputs)
        return self.dense(self.pool(inputs))


HIDDEN_BODIES = {
    "a block that is compiled": (lambda: [Compiled("block")], "block"),
    "a compiled stem": (lambda: [Compiled("stem"), L.Conv2D(4, 3, name="last")], "last"),
    "an augmentation in a loop": (lambda: [Augmented(), L.Conv2D(4, 3, name="last")], "last"),
    "a compiled block, then its activation": (lambda: [Compiled("block"), L.ReLU(name="last")], "last"),
}


@pytest.mark.parametrize("kind", HIDDEN_BODIES)
def test_a_default_that_is_right_is_not_lost_for_a_hidden_body(x, kind):
    make, wanted = HIDDEN_BODIES[kind]
    model = Blocks(*make())
    explainer = tfcam.GradCAM(model)
    raw = explainer.explain(x, 1, resize=False)[..., 0]
    assert explainer.conv_layer == wanted
    activations = x
    for block in model.blocks:
        activations = np.asarray(block(activations))
    cells = np.prod(activations.shape[1:3])
    close(raw, np.maximum(activations @ model.dense.kernel.numpy()[:, 1], 0) / cells)


def test_a_hidden_layer_that_is_named_is_said_to_be_hidden(x):
    with pytest.raises(ValueError, match=r"'inner' of .* inside a tf.function.*decorator off"):
        tfcam.GradCAM(Blocks(Compiled("block")), conv_layer="inner").explain(x, 0)


class HiddenDecoder(keras.Model):
    def __init__(self, hidden):
        super().__init__()
        self.hidden = hidden
        self.first, self.low = (
            L.Conv2D(4, 3, padding="same", name="first"),
            L.Conv2D(4, 3, 2, padding="same", name="low"),
        )
        self.up, self.out = L.Conv2DTranspose(4, 3, 2, padding="same", name="up"), L.Conv2D(3, 1, name="out")

    @tf.function
    def inner(self, inputs):
        return self.up(inputs) if self.hidden == "decoder" else self.first(inputs)

    def call(self, inputs):
        if self.hidden == "decoder":
            return self.out(self.inner(self.low(self.first(inputs))))
        return self.out(self.up(self.low(self.inner(inputs))))


def test_the_coarsest_grid_of_a_segmentation_is_not_guessed_beside_a_hidden_body(x):
    with pytest.raises(ValueError, match=r"up inside a tf.function"):
        tfcam.GradCAM(HiddenDecoder("decoder")).explain(x, 0)
    explainer = tfcam.GradCAM(HiddenDecoder("encoder"))
    explainer.explain(x, 0)
    assert explainer.conv_layer == "low"


@pytest.mark.parametrize("back", [False, True])
def test_tokens_are_a_grid_whether_or_not_they_are_brought_back_to_one(back):
    inputs = keras.Input((16, 12, 3))
    x = L.Reshape((35, 6))(L.Conv2D(6, 3, strides=2, name="conv")(inputs))
    x = L.Dense(6, activation="gelu", name="dense")(L.Add()([x, L.MultiHeadAttention(2, 3)(x, x)]))
    x = L.GlobalAveragePooling2D()(L.Reshape((7, 5, 6), name="back")(x)) if back else L.GlobalAveragePooling1D()(x)
    infos = tfcam.list_layers(keras.Model(inputs, L.Dense(4, name="head")(x)))
    assert {info.grid for info in infos} == {(7, 5)}
    assert [info.path for info in infos if info.default] == ["back" if back else "dense"]
