"""Where the score is an affine function of the activations, masking them costs one gradient and no head."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from family_methods import Ablation, ablation
from oracle import close

import tfcam

L = keras.layers
CALLED = []


@keras.saving.register_keras_serializable("tests")
class Seen(L.Layer):
    """Count how often Python runs what comes behind the explained layer."""

    def call(self, x):
        CALLED.append(self.name)
        return x


def ending_in(*head):
    body = [L.Conv2D(4, 3, activation="relu", name="conv"), L.Conv2D(5, 3, activation="relu", name="last"), Seen()]
    return keras.Sequential([keras.Input((16, 12, 3)), *body, *head])


def heads_run(explainer, images, **options):
    CALLED.clear()
    explainer.explain(images, 1, **options)
    return len(CALLED)


AFFINE = {
    "pooled": lambda: [L.GlobalAveragePooling2D(), L.Dense(3)],
    "a softmax behind it": lambda: [L.GlobalAveragePooling2D(), L.Dense(3, activation="softmax")],
    "flattened": lambda: [L.Flatten(), L.Dropout(0.5), L.Dense(3)],
    "convolved and normalised": lambda: [L.Conv2D(3, 3), L.BatchNormalization(), L.GlobalAveragePooling2D()],
    "transposed": lambda: [L.Conv2DTranspose(3, 3), L.UpSampling2D(), L.GlobalAveragePooling2D()],
    "padded, cropped and permuted": lambda: [
        *(L.ZeroPadding2D(), L.Cropping2D(2), L.Permute((2, 1, 3)), L.AveragePooling2D(2), L.Flatten(), L.Dense(3))
    ],
}
OTHERS = {
    "a hidden layer": lambda: [L.GlobalAveragePooling2D(), L.Dense(6, activation="relu"), L.Dense(3)],
    "a maximum": lambda: [L.GlobalMaxPooling2D(), L.Dense(3)],
    "a normalisation of each image": lambda: [L.LayerNormalization(), L.GlobalAveragePooling2D(), L.Dense(3)],
    "a gate": lambda: [Gate(), L.GlobalAveragePooling2D(), L.Dense(3)],
    "a rounding": lambda: [
        L.Lambda(lambda x: tf.cast(tf.cast(9.0 * x, tf.int32), tf.float32)),
        L.Flatten(),
        L.Dense(3),
    ],
}


class Gate(L.Layer):
    def call(self, x):
        return x * keras.ops.mean(x, axis=(1, 2), keepdims=True)


@pytest.mark.parametrize("head", [*AFFINE, *OTHERS])
def test_maps_are_those_of_masking_one_channel_after_the_other(head, images):
    model = ending_in(*(AFFINE | OTHERS)[head]())
    explainer = Ablation(model, conv_layer="last", signed=True, output_layer=None)
    raw = explainer.explain(images, 1, resize=False).numpy()[..., 0]
    body = keras.Model(model.inputs[0], model.get_layer("last").output)

    def logits(activations):
        x = activations
        for layer in model.layers[2:]:
            is_probability = getattr(layer, "activation", None) is keras.activations.softmax
            x = x @ layer.kernel + layer.bias if is_probability else layer(x)
        return x

    close(raw, ablation(body, logits, images, np.eye(3, dtype="float32")[[1] * 5]))


@pytest.mark.parametrize("head", ["pooled", "a hidden layer"])
def test_recipro_cam_may_see_the_cells_around_too(head, images):
    model = ending_in(*(AFFINE | OTHERS)[head]())
    activations, behind = model.layers[1](model.layers[0](images)).numpy(), keras.Sequential(model.layers[2:])
    rows, columns = np.arange(activations.shape[1]), np.arange(activations.shape[2])
    nothing, expected = behind(np.zeros_like(activations)).numpy()[:, 1], np.zeros(activations.shape[:-1])
    for row, column in np.ndindex(*expected.shape[1:]):
        seen = [np.clip(0.5 - 0.25 * abs(one - at), 0, 1) for one, at in ((rows, row), (columns, column))]
        masked = activations * np.multiply.outer(*seen)[..., None]
        expected[:, row, column] = behind(masked.astype("float32")).numpy()[:, 1] - nothing
    explainer = tfcam.ReciproCAM(model, conv_layer="last", signed=True, gaussian=True)
    close(explainer.explain(images, 1, resize=False).numpy()[..., 0], expected)


@pytest.mark.parametrize("head", AFFINE)
@pytest.mark.parametrize("method", [tfcam.AblationCAM, tfcam.ReciproCAM])
def test_no_head_is_run_where_the_score_is_affine(method, head, images):
    assert heads_run(method(ending_in(*AFFINE[head]()), conv_layer="last"), images) == 0


@pytest.mark.parametrize("head", OTHERS)
def test_the_head_is_run_where_it_is_not(head, images):
    assert heads_run(tfcam.AblationCAM(ending_in(*OTHERS[head]()), conv_layer="last"), images) == 1


def test_a_layer_further_up_is_not_affine(images):
    assert heads_run(tfcam.AblationCAM(ending_in(*AFFINE["pooled"]()), conv_layer="conv"), images) == 1


def test_an_operator_of_the_users_may_make_the_score_any_function(images):
    model = ending_in(*AFFINE["pooled"]())
    linear = tfcam.AblationCAM(model, conv_layer="last", operator=lambda model, x, y: 2 * model(x)[:, 0] - 1)
    assert heads_run(linear, images) == 0
    squared = tfcam.AblationCAM(model, conv_layer="last", operator=lambda model, x, y: model(x)[:, 0] ** 2)
    assert heads_run(squared, images) == 1


def test_several_classes_need_no_head_either(images):
    model = ending_in(*AFFINE["pooled"]())
    explainer = tfcam.AblationCAM(model, conv_layer="last")
    CALLED.clear()
    maps = explainer.explain_classes(images, [2, 0]).numpy()
    assert not CALLED
    close(maps[:, 0], explainer.explain(images, 2).numpy())
    close(maps[:, 1], explainer.explain(images, 0).numpy())


@pytest.mark.parametrize("method", [tfcam.AblationCAM, tfcam.ReciproCAM])
def test_a_score_that_does_not_depend_on_the_layer_is_refused(method, images):
    model = ending_in(*OTHERS["a hidden layer"]())
    explainer = method(model, conv_layer="last", operator=lambda model, x, y: tf.reduce_sum(x, axis=(1, 2, 3)))
    with pytest.raises(ValueError, match=r"does not depend on conv_layer 'last' .*: choose a layer on the path"):
        explainer.explain(images)
