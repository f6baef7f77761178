"""Why are these pixels that class? Each region's score against a tape, and what cannot be one."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from oracle import ORACLES, activations_and_gradients, close, grad_cam_of, same
from scipy.ndimage import binary_dilation, label
from small_models import segmenter

import tfcam

L = keras.layers
AROUND = np.ones((3, 3))


@pytest.fixture
def model():
    return segmenter()


def logits(model, images):
    return np.asarray(model.get_layer("up")(model.get_layer("down")(images)))


def predicted(model, images):
    return logits(model, images).argmax(-1)


def border(mask):
    return mask & binary_dilation(~mask, AROUND)


def component(mask):
    parts, _ = label(mask, AROUND)
    return parts == np.bincount(parts[mask]).argmax()


def box(top, left, bottom, right):
    mask = np.zeros((16, 12), bool)
    mask[top:bottom, left:right] = True
    return mask


CHECKER = np.indices((16, 12)).sum(0) % 2 == 0
REGIONS = {
    "predicted": ("predicted", lambda mask: mask),
    "border": ("border", border),
    "component": ("component", component),
    "all": ("all", np.ones_like),
    "pixel": ((3, 4), lambda _: box(3, 4, 4, 5)),
    "box": ((2, 3, 9, 12), lambda _: box(2, 3, 9, 12)),
    "mask": (CHECKER, lambda _: CHECKER),
}


def maps_of(model, images, regions, classes, mean=True, method="grad-cam"):
    """Return the maps of a tape, of the classes' logits over regions."""
    up, regions = model.get_layer("up"), np.asarray(regions, "float32")

    def score(activations):
        over = tf.reduce_sum(up(activations) * regions[..., None], [1, 2])
        return over / np.sum(regions, (1, 2))[:, None] if mean else over

    targets = np.eye(up.filters)[classes]
    return ORACLES[method](*activations_and_gradients(model.get_layer("down"), score, images, targets))


@pytest.mark.parametrize("name", REGIONS)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_score_of_a_region_is_that_of_a_tape(model, images, name, reduction):
    region, find = REGIONS[name]
    regions = [find(one == 1) for one in predicted(model, images)]
    explainer = tfcam.GradCAM(model, operator=tfcam.Segmentation(region, reduction))
    assert explainer.conv_layer == "down"
    close(
        explainer.explain(images, 1, resize=False)[..., 0],
        maps_of(model, images, regions, [1] * 5, reduction == "mean"),
        1e-5,
    )


@pytest.mark.parametrize("method", ["grad-cam", "hires-cam"])
def test_seg_grad_cam_and_seg_hires_cam_are_grad_cam_and_hires_cam(model, images, method):
    explainer = tfcam.get_method(method)(model, operator=tfcam.Segmentation(reduction="sum"))
    regions = predicted(model, images) == 2
    found = explainer.explain(images, [2] * 5, resize=False)[..., 0]
    close(found, maps_of(model, images, regions, [2] * 5, mean=False, method=method), 1e-5)


def test_without_targets_it_is_the_class_of_most_pixels_but_the_background(model, images):
    areas = np.stack([np.bincount(one.ravel(), minlength=4) for one in predicted(model, images)])
    explained = tfcam.GradCAM(model, operator="segmentation")
    same(explained.explain(images), explained.explain(images, areas.argmax(1)))
    background = int(areas[0].argmax())
    areas[:, background] = -1
    same(
        tfcam.GradCAM(model, operator=tfcam.Segmentation(background=background)).explain(images),
        explained.explain(images, areas.argmax(1)),
    )


def test_each_image_may_have_a_region_of_its_own(model, images):
    explainer = tfcam.GradCAM(model, operator="segmentation")
    boxes = np.array([[0, 0, 8, 6], [8, 6, 16, 12], [1, 1, 2, 2], [3, 0, 4, 12], [5, 5, 9, 7]])
    masks = np.stack([box(*one) for one in boxes])
    of_boxes = explainer.explain(images, {"class": [0, 1, 2, 3, 0], "region": boxes})
    same(of_boxes, explainer.explain(images, {"class": [0, 1, 2, 3, 0], "region": masks}))
    close(
        explainer.explain(images, {"class": [0, 1, 2, 3, 0], "region": masks}, resize=False)[..., 0],
        maps_of(model, images, masks, [0, 1, 2, 3, 0]),
    )
    dataset = tf.data.Dataset.from_tensor_slices((images, {"class": [0, 1, 2, 3, 0], "region": masks})).batch(2)
    same(explainer.explain(dataset), of_boxes)
    pixels = np.array([[0, 0], [15, 11], [3, 3], [4, 5], [7, 1]])
    around = np.stack([box(row, column, row + 1, column + 1) for row, column in pixels])
    same(*(explainer.explain(images, {"class": 1, "region": one}) for one in (pixels, around)))


def test_the_mask_of_a_sigmoid_has_two_classes(images):
    model = segmenter("sigmoid", 1)
    explainer = tfcam.GradCAM(model, operator="segmentation")
    units = logits(model, images)[..., 0]
    up = model.get_layer("up")
    for a_class, sign in ((1, 1), (0, -1)):
        regions = (units > 0) == a_class
        found = explainer.explain(images, a_class, resize=False)[..., 0]

        def score(a, sign=sign, regions=regions):
            return sign * tf.reduce_sum(up(a)[..., 0] * regions, [1, 2]) / regions.sum((1, 2))

        close(found, grad_cam_of(model.layers[0], score, images))


def xpliques(model, inputs, targets):
    """Return the scores of Xplique's ``semantic_segmentation_operator``."""
    scores = tf.reduce_sum(model(inputs) * targets, axis=(1, 2, 3))
    return scores / tf.reduce_sum(tf.cast(tf.not_equal(targets, 0), tf.float32), axis=(1, 2, 3))


def test_targets_of_xplique_have_its_scores(images):
    model = segmenter("linear")
    targets = np.random.default_rng(1).integers(-1, 2, (5, 16, 12, 4)).astype("float32")
    theirs = tfcam.GradCAM(model, operator=xpliques).explain(images, targets)
    for operator in (tfcam.Tasks.SEMANTIC_SEGMENTATION, "semantic segmentation", tfcam.Segmentation()):
        close(tfcam.GradCAM(model, operator=operator).explain(images, targets), theirs)
    one_class = (predicted(model, images) == 2)[..., None] * np.eye(4)[2]
    close(
        tfcam.GradCAM(model, operator="segmentation").explain(images, one_class),
        tfcam.GradCAM(model, operator="segmentation").explain(images, 2),
    )


def test_the_region_of_a_perturbed_image_is_that_of_the_image(model, images):
    regions = (predicted(model, images) == 1).astype("float32")
    linear = keras.Model(model.inputs, model.get_layer("up").output)

    def fixed(model, inputs, regions):
        return tf.reduce_sum(model(inputs)[..., 1] * regions, [1, 2]) / tf.reduce_sum(regions, [1, 2])

    for name in ("score-cam", "ablation-cam"):
        expected = tfcam.get_method(name)(linear, operator=fixed).explain(images, regions)
        close(tfcam.get_method(name)(model, operator="segmentation").explain(images, 1), expected)


def test_the_region_of_a_mirrored_image_is_mirrored(images):
    layers = [L.Conv2D(6, 3, padding="same", activation="relu", name="conv"), L.Conv2D(4, 1)]
    model = keras.Sequential([L.Input((16, 12, 3)), *layers])
    # The mean is taken before what speaks against the class is dropped.
    options = {"operator": tfcam.Segmentation((2, 1, 9, 5)), "conv_layer": "conv", "signed": True}
    explainer, mirrored = tfcam.HiResCAM(model, **options), np.stack([box(2, 7, 9, 11)] * 5)
    there = explainer.explain(images[:, :, ::-1], {"class": 1, "region": mirrored})[:, :, ::-1]
    both = tfcam.HiResCAM(model, **options, smooth=tfcam.Augment(factors=(1.0,)))
    close(both.explain(images, 1), (explainer.explain(images, 1) + there) / 2)


def test_explainers_of_equal_regions_are_compared(model, images):
    operator = tfcam.Segmentation(CHECKER)
    first = tfcam.GradCAM(model, operator=tfcam.Segmentation(CHECKER.copy()))
    maps = tfcam.compare(model, images, [1] * 5, [first], operator=operator)
    same(maps["grad-cam"], first.explain(images, 1))
    other = tfcam.GradCAM(model, operator=tfcam.Segmentation(~CHECKER))
    with pytest.raises(ValueError, match="explains another score"):
        tfcam.compare(model, images, [1] * 5, [other], operator=operator)


@pytest.mark.parametrize("metric", ["Deletion", "Insertion", "ROAD"])
def test_metrics_measure_the_score_of_the_region(model, images, metric):
    maps = tfcam.GradCAM(model, operator="segmentation").explain(images, 1)
    measure = getattr(tfcam.metrics, metric)
    fixed = {"class": [1] * 5, "region": predicted(model, images) == 1}
    scores = [measure(model, images, one, operator="segmentation").evaluate(maps) for one in ([1] * 5, fixed)]
    same(*scores)
    assert scores[0] != measure(model, images, [2] * 5, operator="segmentation").evaluate(maps)


def test_of_several_classes_those_that_are_nowhere_have_empty_maps(images):
    model = segmenter()
    bias = model.get_layer("up").bias
    bias.assign([0.0, 0.0, 0.0, -100.0])
    explainer = tfcam.GradCAM(model, operator="segmentation")
    maps = np.asarray(explainer.explain_classes(images, [1, 3]))
    same(maps[:, 0], explainer.explain(images, 1))
    assert not maps[:, 1].any()
    with pytest.raises(ValueError, match=r"image 0 .* empty region='predicted' of class 3: .* classes \[0, 1, 2\]"):
        explainer.explain(images, 3)
    with pytest.raises(ValueError, match=r"empty region='predicted' of class 3"):
        tfcam.metrics.Deletion(model, images, [3] * 5, operator="segmentation").evaluate(maps[:, 0])
    top, classes = explainer.explain_top(images, 1)
    same(top[:, 0], explainer.explain(images))
    assert (np.asarray(classes)[:, 0] == [np.bincount(one.ravel()).argmax() for one in predicted(model, images)]).all()


def test_images_of_any_size_have_regions(model, images):
    open_model = segmenter(size=(None, None))
    open_model.set_weights(model.get_weights())
    for operator in ("segmentation", tfcam.Segmentation((2, 2, 5, 5)), tfcam.Segmentation(CHECKER)):
        same(*(tfcam.GradCAM(one, operator=operator).explain(images, 1) for one in (model, open_model)))
    explainer = tfcam.GradCAM(open_model, operator=tfcam.Segmentation((2, 2, 15, 5)))
    with pytest.raises(ValueError, match="outside"):
        explainer.explain(images[:, :8], 1)
    with pytest.raises(ValueError, match=r"region has the shape \(16, 12\)"):
        tfcam.GradCAM(open_model, operator=tfcam.Segmentation(CHECKER)).explain(images[:, :8], 1)


def test_one_of_several_outputs_is_named(model, images):
    first = L.Conv2D(4, 1, name="early")(model.get_layer("down").output)
    deep = keras.Model(model.inputs, [first, model.outputs[0]])
    with pytest.raises(ValueError, match="several outputs"):
        tfcam.GradCAM(deep, operator="segmentation")
    explainer = tfcam.GradCAM(deep, output_layer=model.layers[-1].name, operator="segmentation")
    same(explainer.explain(images, 1), tfcam.GradCAM(model, operator="segmentation").explain(images, 1))


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (9, "out of range"),
        ({"class": 1, "region": np.ones((5, 8, 6))}, r"shape \(5, 8, 6\); expected masks \(5, 16, 12\)"),
        ({"class": 1, "region": np.zeros((5, 16, 12))}, "region of image 0 is empty"),
        ({"class": 1, "region": np.ones((4, 16, 12))}, "4 (regions|targets) were given for 5 images"),
        ({"class": 1, "region": [(3, 12)] * 5}, "has no pixel, or some outside"),
        ({"class": 1, "region": [(3, 3, 3, 5)] * 5}, "has no pixel, or some outside"),
        ({"class": 1, "where": np.ones((5, 16, 12))}, r"keys \['class', 'where'\]"),
        (np.zeros((5, 16, 12), int), "A mask says where"),
    ],
)
def test_targets_that_are_no_class_and_region_are_refused(model, images, targets, message):
    with pytest.raises(ValueError, match=message):
        tfcam.GradCAM(model, operator="segmentation").explain(images, targets)


def test_options_that_are_none_are_refused(model):
    for options in ({"region": "predictd"}, {"reduction": "max"}):
        with pytest.raises(ValueError, match="is n"):
            tfcam.Segmentation(**options)
    with pytest.raises(ValueError, match=r"no.*each pixel"):
        tfcam.GradCAM(
            keras.Sequential([L.Input((16, 12, 3)), *model.layers, L.GlobalAveragePooling2D()]), operator="segmentation"
        )
