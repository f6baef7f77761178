"""Why this box: maps of one prediction, against tapes and loops."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from detectors import DETECTORS, SIZE, detector, operator_of, pictures, predictions

import tfcam
from tfcam.engine import MapOptions


def iou(one, other):
    """Return the intersection over union of two boxes."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(wide, 0) * max(high, 0)
    areas = [max(box[2] - box[0], 0) * max(box[3] - box[1], 0) for box in (one, other)]
    return shared / (sum(areas) - shared)


def most_confident(name, images):
    """Return the number and the class of the most confident prediction of each image."""
    _, classes = predictions(name, images)
    return np.array([np.unravel_index(one.argmax(), one.shape) for one in classes])


def tape_maps(name, images, numbers, classes, layers):
    """Return the maps of ODAM by a hand-written tape: gradient times activation at each layer, resized, summed."""
    model = detector(name)
    outputs = model.get_layer("logits").output if name != "yolo" else model.outputs[0]
    watched = keras.Model(model.inputs[0], [[model.get_layer(layer).output for layer in layers], outputs])
    with tf.GradientTape() as tape:
        activations, logits = watched(images)
        if name == "yolo":
            shares = tf.transpose(logits[:, 4:], [0, 2, 1])
            logits = tf.math.log(shares) - tf.math.log1p(-shares)
        score = tf.add_n([logits[row, number, c] for row, (number, c) in enumerate(zip(numbers, classes, strict=True))])
    maps, fine = [], (SIZE // 4) ** 2
    for layer, activation, gradient in zip(layers, activations, tape.gradient(score, activations), strict=True):
        # The coarse level is computed from the fine one, which a prediction of the coarse one does not come from.
        is_own = [[[layer != "p3" or number < fine]] for number in numbers]
        grid = tf.nn.relu(tf.reduce_sum(activation * gradient, axis=-1))
        grid *= np.reshape(is_own, [-1, *[1] * (grid.shape.rank - 1)])
        if grid.shape.rank == 2:
            grid = tf.reshape(grid, [-1, SIZE // 8, SIZE // 8])
        maps.append(tf.nn.relu(tf.image.resize(grid[..., None], (SIZE, SIZE), "bicubic")))
    return tf.add_n(maps)


@pytest.mark.parametrize("name", DETECTORS)
def test_odam_is_a_tape_of_the_one_prediction_at_its_level(name):
    images = pictures()
    explainer = tfcam.ODAM(detector(name), operator=operator_of(name))
    assert explainer.conv_layer == DETECTORS[name][2]
    layers = np.atleast_1d(explainer.conv_layer).tolist()
    numbers, classes = most_confident(name, images).T
    expected = tape_maps(name, images, numbers, classes, layers)
    maps = explainer.explain(images)
    assert np.max(expected) > 0
    np.testing.assert_allclose(maps, expected, atol=1e-5 * np.max(expected))
    boxes, _ = predictions(name, images)
    given = {"boxes": boxes[[0, 1], numbers], "labels": classes}
    np.testing.assert_allclose(explainer.explain(images, given), expected, atol=1e-5 * np.max(expected))


@pytest.mark.parametrize("layer", ["p3", "p4"])
def test_of_a_pyramid_the_level_alone_that_a_prediction_comes_from_makes_its_map(layer):
    """Its gradient at the others is zero; that the maps are not scaled each to its maximum, keeps it so."""
    images, model, fine = pictures(1), detector("pyramid"), (SIZE // 4) ** 2
    boxes, classes = predictions("pyramid", images)
    numbers = np.arange(fine) if layer == "p3" else np.arange(fine, boxes.shape[1])
    wanted = classes[0, numbers].max(axis=0).argmax()
    number = numbers[classes[0, numbers, wanted].argmax()]
    target = {"boxes": boxes[:, number], "classes": [wanted]}
    explainers = [tfcam.ODAM(model, operator=operator_of("pyramid"), conv_layer=one) for one in (None, layer)]
    [both], [one] = (list(explainer.explanations(images, target, MapOptions())) for explainer in explainers)
    assert int(both.targets["index"][0]) in numbers
    np.testing.assert_allclose(both.maps, one.maps, atol=1e-6)
    assert np.any(one.maps)


@pytest.mark.parametrize("name", DETECTORS)
def test_the_weights_of_d_rise_are_those_of_loops(name):
    images, samples = pictures(1), 6
    method = tfcam.DRISE(detector(name), operator=operator_of(name), samples=samples, cells=4, seed=3)
    masks = method.masks(tf.zeros((1, SIZE, SIZE, 3)), tf.range(samples), tf.constant(images))[0].numpy()
    boxes, classes = predictions(name, images)
    [[number, _]] = most_confident(name, images)
    expected = np.zeros((SIZE, SIZE))
    for mask in masks:
        there, probabilities = predictions(name, images * mask[None, ..., None])
        similarity = 0.0
        for box, p in zip(there[0], probabilities[0], strict=True):
            own = classes[0, number]
            cosine = p @ own / np.linalg.norm(p) / np.linalg.norm(own)
            similarity = max(similarity, iou(box, boxes[0, number]) * cosine * p.max())
        expected += similarity * mask
    found = method.explain(images)[0, ..., 0]
    expected /= samples * method.probability
    np.testing.assert_allclose(found, expected - expected.min(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", DETECTORS)
def test_on_the_image_itself_the_fixed_prediction_is_the_one_that_matches(name):
    """So a score before and after a mask compare: without a mask, the similarity is the confidence itself."""
    images, operator = pictures(), operator_of(name)
    _, classes = predictions(name, images)
    explainer = tfcam.HiResCAM(detector(name), operator=operator)
    [explained] = explainer.explanations(images, None, MapOptions())
    numbers, wanted = most_confident(name, images).T
    np.testing.assert_array_equal(explained.targets["index"], numbers)
    confidence = classes[[0, 1], numbers, wanted]
    np.testing.assert_allclose(explained.details["confidence"], confidence, rtol=1e-5)
    # One step, from the image to nothing: the mean of both.
    deletion, insertion = (
        metric(detector(name), images, operator=operator, percent=100, baseline=baseline).per_sample(explained.maps)
        for metric, baseline in ((tfcam.metrics.Deletion, lambda x: x), (tfcam.metrics.Insertion, lambda x: x))
    )
    np.testing.assert_allclose(deletion, confidence, rtol=1e-4)
    np.testing.assert_allclose(insertion, confidence, rtol=1e-4)


@pytest.mark.parametrize("name", DETECTORS)
def test_several_detections_of_an_image_are_those_one_by_one(name):
    images = pictures()
    explainer = tfcam.HiResCAM(detector(name), operator=operator_of(name))
    maps, found = explainer.explain_detections(images, k=3)
    assert maps.shape == (2, 3, SIZE, SIZE, 1)
    assert np.all(np.diff(found["confidence"], axis=1) <= 0)
    for row, number in np.argwhere(found["classes"] >= 0):
        one = {name: found[name][row, number][None] for name in ("boxes", "classes")}
        np.testing.assert_allclose(maps[row, number], explainer.explain(images[row : row + 1], one)[0], atol=1e-6)
    again, same = explainer.explain_detections(images, found)
    most = again.shape[1]
    assert most == np.any(found["classes"] >= 0, axis=0).sum()
    np.testing.assert_allclose(again, maps[:, :most], atol=1e-6)
    np.testing.assert_allclose(same["confidence"], found["confidence"][:, :most], rtol=1e-5)


def test_detections_that_are_not_there_have_empty_maps():
    images = pictures()
    explainer = tfcam.HiResCAM(detector("pyramid"), operator=operator_of("pyramid"))
    _, found = explainer.explain_detections(images, k=2)
    filled = {"boxes": np.full((2, 4, 4), np.inf), "labels": np.full((2, 4), -1)}
    filled["boxes"][0, :2], filled["labels"][0, :2] = found["boxes"][0], found["classes"][0]
    filled["boxes"][1, 0], filled["labels"][1, 0] = found["boxes"][1, 0], found["classes"][1, 0]
    maps, told = explainer.explain_detections(images, filled)
    assert maps.shape[1] == 2
    assert not np.any(maps[1, 1]) and np.all(np.max(maps, axis=(2, 3, 4)).ravel()[:3] > 0)
    np.testing.assert_array_equal(told["classes"][1], [found["classes"][1, 0], -1])


@pytest.mark.parametrize("side", ["left", "top", "right", "bottom"])
def test_a_side_of_the_box_is_explained_too(side):
    images, model = pictures(1), detector("pyramid")
    [[number, _]] = most_confident("pyramid", images)
    watched = keras.Model(
        model.inputs[0], [model.get_layer("p3").output, model.get_layer("p4").output, model.output["boxes"]]
    )
    with tf.GradientTape() as tape:
        *activations, boxes = watched(images)
        score = boxes[0, number, ["left", "top", "right", "bottom"].index(side)]
    gradients = tape.gradient(score, activations)
    if number >= (SIZE // 4) ** 2:
        # The coarse level is computed from the fine one.
        gradients[0] *= 0.0
    maps = [tf.reduce_sum(a * g, axis=-1)[..., None] for a, g in zip(activations, gradients, strict=True)]
    expected = tf.add_n([tf.image.resize(one, (SIZE, SIZE), "bicubic") for one in maps])
    explainer = tfcam.HiResCAM(model, operator=operator_of("pyramid", of=side), signed=True)
    np.testing.assert_allclose(explainer.explain(images), expected, atol=1e-5 * np.max(np.abs(expected)))


@pytest.mark.parametrize("box_format", ["yxyx", "xywh", "center_xywh", "rel_xyxy", "rel_yxyx", "rel_center_xywh"])
def test_boxes_of_any_format_are_the_same_boxes(box_format):
    """By Keras' own conversion."""
    images = pictures()
    own = tfcam.HiResCAM(detector("pyramid"), operator=operator_of("pyramid"))
    maps, found = own.explain_detections(images, k=2)
    boxes = keras.utils.bounding_boxes.convert_format(found["boxes"], "xyxy", box_format, height=SIZE, width=SIZE)
    other = tfcam.HiResCAM(detector("pyramid"), operator=operator_of("pyramid", box_format=box_format))
    again, told = other.explain_detections(images, {"boxes": np.asarray(boxes), "labels": found["classes"]})
    np.testing.assert_allclose(again, maps, atol=1e-6)
    np.testing.assert_allclose(told["boxes"], boxes, rtol=1e-4, atol=1e-4)


def test_a_function_that_decodes_explains_the_same():
    """What it puts out is recognised, or told by six lines of the user's."""

    def decode(outputs, images):
        boxes, classes = outputs["boxes"], outputs["classes"]
        return boxes, tf.math.log(classes) - tf.math.log1p(-classes)

    images = pictures()
    one, other = (
        tfcam.ODAM(detector("pyramid"), operator=operator_of("pyramid", decode=given)).explain(images)
        for given in (None, decode)
    )
    np.testing.assert_allclose(one, other, atol=1e-5 * np.max(one))


def test_a_mirrored_image_is_explained_by_the_mirrored_box():
    """Augment mirrors images; a fixed cell would be another place in them."""
    images, model = pictures(1), detector("pyramid")
    _, found = tfcam.ODAM(model, operator=operator_of("pyramid")).explain_detections(images, k=1)
    left, top, right, bottom = found["boxes"][0, 0]
    mirrored = {"boxes": [[SIZE - right, top, SIZE - left, bottom]], "classes": found["classes"][:, 0]}
    plain = tfcam.ODAM(model, operator=operator_of("pyramid"), signed=True)
    own = plain.explain(images, {"boxes": found["boxes"][:, 0], "classes": found["classes"][:, 0]})
    other = plain.explain(images[:, :, ::-1], mirrored)[:, :, ::-1]
    smooth = tfcam.ODAM(model, operator=operator_of("pyramid"), signed=True, smooth=tfcam.Augment((1.0,)))
    np.testing.assert_allclose(smooth.explain(images), (own + other) / 2, atol=1e-5)


def test_compare_gives_what_each_method_gives():
    images = pictures()
    maps = tfcam.compare(detector("pyramid"), images, operator=operator_of("pyramid"))
    assert "odam" not in maps and len(maps) > 8
    for name in ("grad-cam", "layer-cam", "hires-cam", "eigen-cam"):
        own = tfcam.get_method(name)(detector("pyramid"), operator=operator_of("pyramid")).explain(images)
        np.testing.assert_allclose(maps[name], own, atol=1e-5)


def test_the_levels_are_the_defaults_that_are_listed():
    explainer = tfcam.ODAM(detector("pyramid"))
    rows = [row for row in explainer.list_layers() if row.default]
    assert [row.path for row in rows] == ["p3", "p4"]
    assert all("leads to the class and to the box" in row.reason for row in rows)


def test_of_fewer_predictions_than_asked_for_the_others_are_not_there():
    maps, found = tfcam.ODAM(detector("detr"), operator=operator_of("detr")).explain_detections(pictures(), k=9)
    assert maps.shape == (2, 9, SIZE, SIZE, 1)
    assert (found["classes"] >= 0).any(axis=1).all() and (found["classes"][:, 5:] == -1).all()
    assert not np.any(maps.numpy()[found["classes"] < 0])
