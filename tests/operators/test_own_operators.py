"""Operators that the library does not have: it needs to know nothing of their outputs and targets."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfcam

L = keras.layers


class MaskedSegmentation(tfcam.Operator):
    """Mean output of the wanted class at each pixel: targets are masks ``(N, H, W)`` of classes, -1 for none."""

    name = "masked segmentation"

    def scores(self, run):
        wanted = tf.one_hot(run.targets, run.outputs.shape[-1])
        return tf.reduce_sum(run.outputs * wanted, axis=[1, 2, 3]) / tf.reduce_sum(wanted, axis=[1, 2, 3])

    def default_targets(self, run):
        return tf.argmax(run.outputs, axis=-1, output_type=tf.int32)

    def read_targets(self, values, count, outputs):
        masks = np.asarray(values)
        if masks.shape != (count, *outputs.shape[1:-1]):
            raise ValueError(f"targets must be masks {(count, *outputs.shape[1:-1])}, got {masks.shape}.")
        return masks.astype("int32")

    def details(self, run, targets):
        return {"areas": tf.reduce_sum(tf.cast(targets >= 0, tf.int32), axis=[-2, -1])}


class ScoreInBox(tfcam.Operator):
    """Objectness inside a box plus the class score, of a dict of outputs; targets are a dict of boxes and classes."""

    name = "score in box"

    def scores(self, run):
        rows, columns = (tf.range(size, dtype=tf.float32) for size in run.outputs["objectness"].shape[1:3])
        top, left, bottom, right = (edge[:, None] for edge in tf.unstack(run.targets["boxes"], axis=1))
        inside = ((rows >= top) & (rows < bottom))[:, :, None] & ((columns >= left) & (columns < right))[:, None]
        objectness = tf.reduce_sum(run.outputs["objectness"][..., 0] * tf.cast(inside, tf.float32), axis=[1, 2])
        return objectness + tf.gather(run.outputs["classes"][0], run.targets["classes"], batch_dims=1)

    def default_targets(self, run):
        height, width = run.outputs["objectness"].shape[1:3]
        boxes = tf.constant([[0.0, 0.0, height, width]]) * tf.ones((tf.shape(run.outputs["classes"][0])[0], 1))
        return {"boxes": boxes, "classes": tf.argmax(run.outputs["classes"][0], axis=-1, output_type=tf.int32)}

    def read_targets(self, values, count, outputs):
        assert outputs["classes"][0].shape[-1] == 4
        return {
            "boxes": np.asarray(values["boxes"], "float32").reshape(count, 4),
            "classes": np.asarray(values["classes"], "int32").reshape(count),
        }


@pytest.fixture
def segmentation():
    """Return a linear model behind its explained layer, ending in a softmax, and the parts of it."""
    inputs = keras.Input((16, 12, 3))
    hidden, last = L.Conv2D(6, 3, padding="same", activation="relu", name="hidden"), L.Conv2D(4, 1, name="last")
    return keras.Model(inputs, L.Softmax()(last(hidden(inputs)))), hidden, last


def test_a_segmentation_is_explained_inside_a_mask(segmentation, images):
    model, hidden, last = segmentation
    masks = np.full((5, 16, 12), -1)
    masks[:, 2:9, 3:7] = 2
    masks[0, 10:12, 1:5] = 1
    areas = (masks >= 0).sum((1, 2))
    explainer = tfcam.GradCAM(model, operator=MaskedSegmentation(), batch_size=2)
    # Each cell's gradient is the kernel's column of the class wanted there; the logits are explained.
    kernel = last.kernel.numpy()[0, 0]
    wanted = np.stack([(masks == c).sum((1, 2)) for c in range(4)], axis=-1)
    weights = wanted @ kernel.T / areas[:, None] / (16 * 12)
    expected = np.maximum(np.einsum("nhwk,nk->nhw", hidden(images).numpy(), weights), 0)
    assert expected.max() > 0
    maps = explainer.explain(images, masks, resize=False)[..., 0]
    np.testing.assert_allclose(maps, expected, atol=1e-5 * expected.max())

    pairs = tf.data.Dataset.from_tensor_slices((images, masks))
    np.testing.assert_allclose(explainer.explain(pairs, resize=False)[..., 0], maps, atol=1e-6)
    mapped = list(explainer.map(pairs, resize=False))
    np.testing.assert_array_equal(np.concatenate([y for _, y, _ in mapped]), masks)
    np.testing.assert_allclose(np.concatenate([h for _, _, h in mapped])[..., 0], maps, atol=1e-6)

    predicted = model(images).numpy().argmax(-1)
    np.testing.assert_allclose(explainer.explain(images), explainer.explain(images, predicted), atol=1e-6)
    with pytest.raises(ValueError, match=r"targets must be masks \(2, 16, 12\), got \(2, 4\)"):
        explainer.explain(images, np.eye(5, 4))
    with pytest.raises(TypeError, match=r"explain_top ranks the classes of a classification"):
        explainer.explain_top(images)


def test_a_dict_of_outputs_is_explained_inside_boxes(images):
    inputs = keras.Input((16, 12, 3))
    features = L.Conv2D(6, 3, padding="same", activation="relu", name="features")(inputs)
    objectness, dense = L.Conv2D(1, 1), L.Dense(4)
    outputs = {"objectness": objectness(features), "classes": [dense(L.GlobalAveragePooling2D()(features))]}
    model = keras.Model(inputs, outputs)
    with pytest.raises(ValueError, match="several outputs"):
        tfcam.GradCAM(model)
    explainer = tfcam.GradCAM(model, operator=ScoreInBox(), conv_layer="features", batch_size=2)
    boxes = np.array([[0, 0, 4, 4], [2, 3, 9, 8], [0, 0, 16, 12], [5, 5, 6, 6], [1, 0, 3, 12]], "float32")
    classes = np.array([0, 3, 1, 2, 2])
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    # Averaged over the cells: the objectness kernel counts once a cell of the box, the class kernel once.
    kernel = areas[:, None] * objectness.kernel.numpy()[0, 0, :, 0] + dense.kernel.numpy().T[classes]
    activations = keras.Model(inputs, features)(images).numpy()
    expected = np.maximum(np.einsum("nhwk,nk->nhw", activations, kernel / (16 * 12)), 0)
    assert expected.max() > 0
    targets = {"boxes": boxes, "classes": classes}
    maps = explainer.explain(images, targets, resize=False)[..., 0]
    np.testing.assert_allclose(maps, expected, atol=1e-5 * expected.max())
    dataset = tf.data.Dataset.from_tensor_slices((images, targets))
    np.testing.assert_allclose(explainer.explain(dataset, resize=False)[..., 0], maps, atol=1e-6)
    [*_, (_, given, heatmaps)] = explainer.map(dataset)
    assert heatmaps.shape == (1, 16, 12, 1) and set(given) == {"boxes", "classes"}
    everything = {"boxes": [[0, 0, 16, 12]] * 5, "classes": model(images)["classes"][0].numpy().argmax(-1)}
    np.testing.assert_allclose(explainer.explain(images), explainer.explain(images, everything), atol=1e-6)


def test_the_class_of_an_operator_is_no_operator(segmentation):
    with pytest.raises(TypeError, match=r"give an instance of it, MaskedSegmentation\(\)"):
        tfcam.GradCAM(segmentation[0], operator=MaskedSegmentation)
    assert "masked segmentation" in repr(tfcam.GradCAM(segmentation[0], operator=MaskedSegmentation()))
