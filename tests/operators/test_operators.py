"""What is explained: tasks, operators of the user's, targets."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from oracle import ORACLES, activations_and_gradients, close, same
from small_models import net

import tfcam

L = keras.layers


@pytest.fixture
def x(images):
    return images


def test_an_operators_model_gives_the_same_for_the_images_and_for_a_copy(x):
    for options in ({}, {"output_layer": "gap"}):
        seen = {}

        def operator(model, a, y, seen=seen):
            seen["difference"] = tf.reduce_max(tf.abs(model(a) - model(a * 1.0)))
            return tf.reduce_sum(model(a), -1) + 0 * seen["difference"] + 1e3 * seen["difference"] * model(a)[:, 0]

        model = net(3, "softmax")
        signed = [
            tfcam.GradCAM(model, operator=o, **options) for o in (operator, lambda m, a, y: tf.reduce_sum(m(a), -1))
        ]
        np.testing.assert_allclose(signed[0].explain(x), signed[1].explain(x), atol=1e-6)


def test_an_operator_sees_the_probabilities_of_the_model(x):
    model = net(3, "softmax")
    targets = np.eye(3, dtype="float32")[[0, 1, 2, 0, 1]]
    explainer = tfcam.GradCAM(model, operator=lambda m, a, y: tf.reduce_sum(tf.math.log(m(a) + 1e-7) * y, -1))
    conv, head = model.layers[0], model.layers[1:]
    expected = ORACLES["grad-cam"](
        *activations_and_gradients(conv, lambda a: tf.math.log(head[1](head[0](a)) + 1e-7), x, targets)
    )
    close(explainer.explain(x, targets, resize=False)[..., 0], expected)


def test_an_operator_may_run_the_model_in_training_mode(x):
    model = keras.Sequential([*net(3).layers, L.BatchNormalization()])
    model.build((None, 16, 12, 3))
    conv, *head, normalise = model.layers

    def run(a):
        for layer in head:
            a = layer(a)
        return a

    plain = tfcam.GradCAM(model, operator=lambda m, a, y: m(a, training=False)[:, 0])
    weighted = tfcam.GradCAM(model, operator=lambda m, a, y: m(a)[:, 0] * tf.stop_gradient(m(a, training=True)[:, 0]))
    maps = np.stack([explainer.explain(x, resize=False)[..., 0] for explainer in (plain, weighted)])
    features = np.asarray(run(conv(x)))
    # Normalised by its own batch, in training mode: a score of each image that the batch decides.
    scores = ((features - features.mean(0)) / np.sqrt(features.var(0) + normalise.epsilon))[:, 0]
    weights = np.stack([np.ones(5), scores]) / np.sqrt(1 + normalise.epsilon)
    for found, weight in zip(maps, weights, strict=True):
        targets = weight[:, None] * np.eye(3)[[0] * 5]
        close(found, ORACLES["grad-cam"](*activations_and_gradients(conv, run, x, targets)))


def test_what_an_operator_writes_is_written_after_the_model_has_read_it(x):
    model = net(3)
    kernel, before = model.get_layer("dense").kernel, model.get_layer("dense").kernel.numpy()

    def erasing(model, x, y):
        outputs = model(x)[:, 0]
        kernel.assign(tf.zeros_like(kernel))
        return outputs

    expected = tfcam.GradCAM(model).explain(x, 0)
    explainer = tfcam.GradCAM(model, operator=erasing)
    for _ in range(20):
        kernel.assign(before)
        same(explainer.explain(x), expected)
        assert not kernel.numpy().any()


def test_an_operator_that_does_not_use_the_explained_images_is_told_so(x):
    for operator in (lambda m, a, y: m(a * 0.5)[:, 0], lambda m, a, y: m(a, training=True)[:, 0]):
        with pytest.raises(ValueError, match=r"takes its score from model\(inputs\)"):
            tfcam.GradCAM(net(3), operator=operator).explain(x)
    tfcam.GradCAM(net(3), operator=lambda m, a, y: m(a)[:, 0] - m(a * 0.5)[:, 0]).explain(x)


PROBABILITIES = {
    "sigmoid": lambda z: L.Activation("sigmoid")(z),
    "average": lambda z: L.Average()([L.Activation("sigmoid")(z), L.Activation("sigmoid")(2.0 * z)]),
    "hard sigmoid": lambda z: L.Activation("hard_sigmoid")(z),
    "clipped": lambda z: keras.ops.clip(L.Activation("sigmoid")(z), 1e-3, 1 - 1e-3),
    "complement": lambda z: 1.0 - (1.0 - L.Activation("sigmoid")(z)),
}


@pytest.mark.parametrize("bias", [-1.0, 1.0])
@pytest.mark.parametrize("kind", PROBABILITIES)
def test_the_predicted_class_of_one_unit_is_that_of_its_probability(x, kind, bias):
    logit = net(1, bias=bias)
    model = keras.Model(logit.inputs, PROBABILITIES[kind](logit.outputs[0]))
    predicted = int(bias > 0)
    assert ((model.predict(x, verbose=0)[:, 0] > 0.5) == predicted).all()
    explainer = tfcam.GradCAM(model)
    np.testing.assert_array_equal(explainer.explain(x), explainer.explain(x, predicted))
    maps, classes = explainer.explain_top(x, 2)
    np.testing.assert_array_equal(classes, [[predicted, 1 - predicted]] * 5)
    np.testing.assert_allclose(maps[:, 1], explainer.explain(x, 1 - predicted), atol=1e-6)


@pytest.mark.parametrize("name", ["rise", "group-cam", "poly-cam", "score-cam", "shapley-cam"])
@pytest.mark.parametrize("bias", [0.0, 50.0])
def test_a_value_has_no_probability(x, name, bias):
    model, options = net(1, bias=bias), {"samples": 50} if name == "rise" else {}
    model.get_layer("dense").kernel.assign([[0.5]] * 6)
    found = tfcam.get_method(name)(model, operator="regression", **options).explain(x)
    same(found, tfcam.get_method(name)(model, operator=lambda m, a, y: m(a)[:, 0], **options).explain(x))


def test_a_value_is_explained_for_being_high_or_low(x):
    explainer = tfcam.GradCAM(net(1), operator="regression", signed=True)
    high = explainer.explain(x)
    for targets in (1, [1] * 5, np.ones((5, 1))):
        same(explainer.explain(x, targets), high)
    same(explainer.explain(x, -1), -high)
    with pytest.raises(ValueError, match=r"targets of one output are 1, why it is high, or -1, why it is low, got \[0"):
        explainer.explain(x, 0)


def test_the_labels_of_a_regression_dataset_are_no_weights(x):
    explainer = tfcam.GradCAM(net(1), operator="regression")
    dataset = tf.data.Dataset.from_tensor_slices((x, np.full((5, 1), -5.0, "float32")))
    np.testing.assert_allclose(explainer.explain(dataset), explainer.explain(x), atol=1e-6)


def test_a_column_of_binary_labels_means_the_same_in_every_batch(x):
    y = np.array([[0], [1], [0], [0.5], [1]], "float32")
    dataset = tf.data.Dataset.from_tensor_slices((x, y))
    model = net(1)
    maps = [tfcam.GradCAM(model, batch_size=n).explain(dataset, normalize=False).numpy() for n in (1, 2, 4, 5)]
    for other in maps[1:]:
        np.testing.assert_allclose(other, maps[0], atol=1e-6)
    low, high = (tfcam.GradCAM(model).explain(x, label).numpy() for label in (0, 1))
    for index, expected in enumerate([low[0], high[1], low[2], 0.5 * high[3], high[4]]):
        np.testing.assert_allclose(maps[0][index], expected, atol=1e-6)


def test_a_column_of_labels_of_two_classes_are_indices(x):
    explainer = tfcam.GradCAM(net(2))
    np.testing.assert_array_equal(explainer.explain(x, [[0], [1]] * 2 + [[1]]), explainer.explain(x, [0, 1, 0, 1, 1]))


def test_targets_are_read_alike_everywhere(x):
    explainer = tfcam.GradCAM(net(4))
    with pytest.raises(ValueError, match=r"class indices.*explain\(images, weights\)"):
        explainer.explain_classes(x, np.eye(4, dtype="float32"))
    with pytest.raises(TypeError, match="dtype bool"):
        explainer.explain(x, [True] * 5)
    dataset = tf.data.Dataset.from_tensor_slices((x, (np.arange(5) % 4, np.arange(5) % 4))).batch(5)
    with pytest.raises(TypeError, match="must be one array, got a tuple"):
        explainer.explain(dataset)
    close(explainer.explain(dataset.map(lambda a, y: (a, y[0]))), explainer.explain(x, np.arange(5) % 4))
    close(explainer.explain(x, tf.Variable(np.arange(5) % 4)), explainer.explain(x, np.arange(5) % 4))
    with pytest.raises(ValueError, match="class indices, got the shape"):
        explainer.explain_classes(x, [])


@pytest.mark.parametrize("batch_size", [2, 5])
def test_labels_may_be_a_tuple(x, batch_size):
    explainer = tfcam.GradCAM(net(4), batch_size=batch_size)
    close(explainer.explain(x, (0, 1, 2, 3, 1)), explainer.explain(x, [0, 1, 2, 3, 1]))
    with pytest.raises(ValueError, match="2 targets were given for 5 images; there must be one for each"):
        explainer.explain(x, (0, 1))


def test_an_operator_reads_one_target_for_each_image():
    operator, outputs = tfcam.Tasks.CLASSIFICATION.value(), tf.TensorSpec((None, 4))
    with pytest.raises(ValueError, match="2 targets were given for 5 images; there must be one for each"):
        operator.read_targets([0, 1], 5, outputs)


def test_an_operator_may_call_its_model_with_a_symbolic_training(x):
    model = net(4)
    explainer = tfcam.GradCAM(model, operator=lambda m, a, y: m(a)[:, 0] + 0 * m(a, training=tf.shape(a)[0] < 0)[:, 0])
    close(explainer.explain(x), tfcam.GradCAM(model).explain(x, 0))


def test_an_output_without_a_channel_axis_is_one_unit(x):
    base = net(1)
    model = keras.Model(base.inputs, base.outputs[0][:, 0])
    np.testing.assert_allclose(tfcam.GradCAM(model).explain(x, 1), tfcam.GradCAM(base).explain(x, 1), atol=1e-6)
    np.testing.assert_allclose(tfcam.GradCAM(model).explain(x), tfcam.GradCAM(base).explain(x), atol=1e-6)


def test_the_highest_classes_of_a_segmentation_are_those_of_its_mean(x):
    inputs = keras.Input((16, 12, 3))
    hidden = L.Conv2D(6, 3, 2, padding="same", activation="relu")(inputs)
    model = keras.Model(inputs, L.Conv2D(4, 1)(hidden))
    maps, classes = tfcam.GradCAM(model).explain_top(x, 2)
    assert maps.shape == (5, 2, 16, 12, 1)
    np.testing.assert_array_equal(classes, np.argsort(-model(x).numpy().mean((1, 2)), axis=-1)[:, :2])


def test_an_operator_may_take_a_dict_of_targets_or_none_in_a_pipeline(x):
    model = net(4)
    weights = np.eye(4, dtype="float32")[[0, 1, 2, 3, 0]]
    expected = tfcam.GradCAM(model).explain(x, weights)
    explainer = tfcam.GradCAM(model, operator=lambda m, a, y: tf.reduce_sum(m(a) * y["w"], -1), batch_size=2)
    np.testing.assert_allclose(explainer.explain(x, {"w": weights}), expected, atol=1e-6)
    mapped = explainer.map(tf.data.Dataset.from_tensor_slices((x, {"w": weights})))
    np.testing.assert_allclose(np.concatenate([h for _, _, h in mapped]), expected, atol=1e-6)
    alone = tfcam.GradCAM(model, operator=lambda m, a, y: m(a)[:, 0], batch_size=2)
    mapped = alone.map(tf.data.Dataset.from_tensor_slices(x))
    np.testing.assert_allclose(np.concatenate([h for _, _, h in mapped]), alone.explain(x), atol=1e-6)


def test_a_dict_of_one_output_is_one_output(x):
    base = net(4)
    model = keras.Model(base.inputs, {"only": base.outputs[0]})
    np.testing.assert_allclose(tfcam.GradCAM(model).explain(x, 2), tfcam.GradCAM(base).explain(x, 2), atol=1e-6)


def test_softmax_and_a_reshape_of_the_same_rank_keep_the_shape_of_the_output(x):
    base = net(12)
    out = L.Reshape((2, 6))(L.Softmax()(L.Reshape((4, 3))(base.outputs[0])))
    model = keras.Model(base.inputs, out)
    straight = keras.Model(base.inputs, L.Reshape((2, 6))(base.outputs[0]))
    np.testing.assert_allclose(tfcam.GradCAM(model).explain(x, 5), tfcam.GradCAM(straight).explain(x, 5), atol=1e-6)


def test_very_many_classes_need_no_more_memory_than_the_targets(x):
    """A matrix of classes times classes would hold 90 GB."""
    model = net(150_000)
    explainer = tfcam.GradCAM(model)
    maps = explainer.explain(x, 149_999)
    close(maps, tfcam.GradCAM(model, operator=lambda model, x, y: model(x)[:, -1]).explain(x))
    close(explainer.explain_classes(x, [3, 149_999])[:, 1], maps)
