"""Metrics of where a map is high and where the object is: formulas, closed forms, and what is refused."""

import numpy as np
import pytest
import tensorflow as tf
from metric_rows import LOCALISATION_ROWS
from oracle_of_maps import parts_of

import tfcam
from tfcam.demo import load_model, make_scenes
from tfcam.metrics import EnergyPointingGame, IoU, MaxBoxAcc, PointingGame, RelevanceMassAccuracy, RelevanceRankAccuracy

NAMES = sorted({name for name, *_ in LOCALISATION_ROWS})


@pytest.fixture(scope="module")
def scenes():
    return make_scenes(8, objects=2, seed=5)


@pytest.fixture(scope="module")
def heatmaps(scenes):
    return tfcam.HiResCAM(load_model(), signed=True).explain(scenes.images, scenes.labels[:, 0]).numpy()[..., 0]


@pytest.mark.parametrize(
    ("name", "options", "oracle"), LOCALISATION_ROWS, ids=lambda value: getattr(value, "__name__", None)
)
def test_a_metric_is_its_formula(name, options, oracle, scenes, heatmaps):
    masks = scenes.masks[:, 0]
    expected = [oracle(heatmap, mask) for heatmap, mask in zip(heatmaps, masks, strict=True)]
    assert len(set(expected)) > 1
    np.testing.assert_allclose(tfcam.get_metric(name)(masks=masks, **options).per_sample(heatmaps), expected, rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_map_that_is_the_mask_has_the_best_value_and_one_that_is_all_else_the_worst(name):
    drawn = make_scenes(12, seed=5).masks[:, 0]
    # Of one part each: a box is around one.
    masks = np.stack([mask for mask in drawn if sum(1 for _ in parts_of(mask)) == 1])
    assert len(masks) > 5
    metric = tfcam.get_metric(name)(masks=masks)
    np.testing.assert_allclose(metric.per_sample(masks), 1.0, rtol=1e-6)
    away = tfcam.get_metric(name)(masks=masks, **({"tolerance": 0} if name == "pointing-game" else {}))
    # The box around all else is the image, and some of it is in the box.
    most = {"energy-pointing-game": 0.3, "max-box-acc": 0.0}.get(name, 0.0)
    assert away.per_sample(~masks).max() <= most


@pytest.mark.parametrize("name", NAMES)
def test_a_box_is_as_good_as_the_mask_that_it_fills(name):
    maps = np.random.default_rng(0).uniform(size=(2, 12, 10))
    masks = np.zeros((2, 12, 10), bool)
    masks[0, 2:7, 1:5] = masks[1, 0:12, 3:10] = True
    boxes = [(1, 2, 5, 7), [(3, 0, 10, 12)]]
    of_boxes = tfcam.get_metric(name)(boxes=boxes).per_sample(maps)
    np.testing.assert_array_equal(of_boxes, tfcam.get_metric(name)(masks=masks[..., None]).per_sample(maps))


def test_the_pointing_game_is_forgiving_as_far_as_its_tolerance():
    heatmap, mask = np.zeros((1, 20, 20)), np.zeros((1, 20, 20), bool)
    heatmap[0, 10, 13], mask[0, 10, 4:11] = 1.0, True
    for tolerance, hit in ((0, 0.0), (2.9, 0.0), (3, 1.0)):
        assert PointingGame(masks=mask, tolerance=tolerance).evaluate(heatmap) == hit
    heatmap[0, 10, 5] = 1.0
    assert PointingGame(masks=mask, tolerance=0).evaluate(heatmap) == 0.5


def test_ties_at_the_lowest_rank_count_for_as_much_as_there_is_room():
    heatmap = np.array([[[3.0, 1.0, 1.0, 1.0, 1.0, 0.0]]])
    mask = np.array([[[1, 1, 0, 0, 0, 1]]])
    # One of the object is the highest, and two more are taken of four alike, of which one is the object's.
    assert RelevanceRankAccuracy(masks=mask).evaluate(heatmap) == pytest.approx((1 + 0.5) / 3)


def test_what_speaks_against_the_class_is_nowhere():
    heatmap, mask = np.array([[[2.0, -5.0], [1.0, -1.0]]]), np.array([[[1, 1], [0, 0]]])
    assert RelevanceMassAccuracy(masks=mask).evaluate(heatmap) == pytest.approx(2 / 3)
    for metric in (RelevanceMassAccuracy, EnergyPointingGame, IoU):
        assert np.isnan(metric(masks=mask).evaluate(-1 - np.abs(heatmap)))


def test_the_threshold_of_boxes_is_the_best_for_all_images_together():
    maps, boxes = np.zeros((2, 20, 20)), [(0, 0, 10, 10), (0, 0, 4, 4)]
    maps[:, :10, :10], maps[:, :4, :4] = 0.5, 1.0
    # Low thresholds show the larger square, high ones the smaller: each is right for one image.
    metric = MaxBoxAcc(boxes=boxes)
    assert metric.evaluate(maps) == 0.5
    assert metric.per_sample(maps).tolist() == [1.0, 0.0]
    assert MaxBoxAcc(boxes=boxes, thresholds=[0.7]).per_sample(maps).tolist() == [0.0, 1.0]
    assert MaxBoxAcc(boxes=boxes[:1], overlap=(0.1, 0.5, 0.9)).evaluate(maps[:1]) == 1.0
    assert MaxBoxAcc(boxes=boxes[:1], overlap=(0.1, 0.9), thresholds=[0.7]).evaluate(maps[:1]) == 0.5


def test_the_largest_part_or_the_best_of_all():
    maps, boxes = np.zeros((1, 20, 20)), [(14, 14, 18, 18)]
    maps[0, :10, :10] = maps[0, 14:18, 14:18] = 1.0
    assert MaxBoxAcc(boxes=boxes).evaluate(maps) == 0.0
    assert MaxBoxAcc(boxes=boxes, parts="all").evaluate(maps) == 1.0
    assert MaxBoxAcc(boxes=[[(14, 14, 18, 18), (0, 0, 10, 9)]]).evaluate(maps) == 1.0


def test_maps_of_one_and_three_dimensions_have_masks_too():
    random = np.random.default_rng(1)
    for grid in ((30,), (6, 5, 4)):
        masks, maps = random.uniform(size=(3, *grid)) > 0.6, random.uniform(size=(3, *grid))
        for name in set(NAMES) - {"max-box-acc"}:
            assert np.isfinite(tfcam.get_metric(name)(masks=masks).per_sample(maps)).all()
        with pytest.raises(ValueError, match="MaxBoxAcc is of maps of two dimensions"):
            MaxBoxAcc(masks=masks).evaluate(maps)


def test_a_table_measures_where_the_objects_are(scenes, heatmaps):
    model, labels, masks = load_model(), scenes.labels[:, 0], scenes.masks[:, 0]
    methods = ["grad-cam", "hires-cam"]
    found = tfcam.evaluate(
        model, scenes.images, labels, methods, None, ["pointing-game", "max-box-acc", "iou"], batch_size=3, masks=masks
    )
    for row in found.rows:
        maps = tfcam.get_method(row.method)(model).explain(scenes.images, labels)
        for name, estimate in row.estimates.items():
            assert estimate.mean == pytest.approx(tfcam.get_metric(name)(masks=masks).evaluate(maps), abs=1e-6)
    dataset = tf.data.Dataset.from_tensor_slices((scenes.images, labels)).batch(3)
    again = tfcam.evaluate(model, dataset, None, methods, None, ["iou"], masks=masks)
    assert again.rows[0].estimates["iou"].mean == pytest.approx(
        next(row for row in found.rows if row.method == again.rows[0].method).estimates["iou"].mean, abs=1e-5
    )
    chosen = tfcam.evaluate(model, scenes.images[:2], labels[:2], methods, masks=masks[:2], metrics=None)
    assert {"pointing-game", "energy-pointing-game", "iou", "insertion"} <= set(chosen.metrics)


MASK = np.ones((2, 6, 8), bool)
BAD = {
    "nothing": (lambda m: IoU().evaluate(m), "give masks= or boxes="),
    "no foreground": (lambda m: IoU(masks=MASK & [[[False]], [[True]]]), "masks 0 have no foreground.*leave those"),
    "one mask": (lambda m: IoU(masks=(MASK & [[[False]], [[True]]])[:, 0]), "masks 0 .*of a single mask.*masks.None"),
    "other size": (
        lambda m: IoU(masks=MASK[:, :3]).evaluate(m),
        r"masks have the shape \(3, 8\) each.*\(6, 8\).*resize",
    ),
    "fractions": (lambda m: IoU(masks=MASK * 0.5), "masks hold fractions or NaN: give True where the object is"),
    "words": (lambda m: IoU(masks=["here"]), "masks must be numbers or booleans"),
    "fewer": (lambda m: IoU(masks=MASK[:1]).evaluate(m), "The objects of 1 images were given for 2 images"),
    "more": (lambda m: IoU(masks=np.ones((3, 6, 8))).evaluate(m), "The objects of 3 images were given for 2 images"),
    "outside": (lambda m: IoU(boxes=[(0, 0, 8, 6), (1, 1, 9, 5)]).evaluate(m), "image 1.*lies outside.*6 x 8 pixels"),
    "no area": (lambda m: IoU(boxes=[(0, 0, 8, 6), (5, 4, 2, 2)]), "image 1.*no area.*not left, top, width, height"),
    "no boxes": (lambda m: IoU(boxes=[(0, 0, 8)] * 2), r"boxes of image 0 have the shape \(3,\)"),
    "both": (lambda m: IoU(masks=MASK, boxes=[(0, 0, 1, 1)]), "2 masks and 1 boxes"),
    "tolerance": (lambda m: PointingGame(masks=MASK, tolerance=-1), "tolerance=-1 must be"),
    "threshold": (lambda m: IoU(masks=MASK, threshold=20), "threshold=20 is the share"),
    "parts": (lambda m: MaxBoxAcc(masks=MASK, parts="some"), "parts='some' is neither"),
    "overlap": (lambda m: MaxBoxAcc(masks=MASK, overlap=50), "overlap=.* must be shares"),
    "thresholds": (lambda m: MaxBoxAcc(masks=MASK, thresholds=0.0 - 1), "thresholds=.* must be shares"),
}


@pytest.mark.parametrize(("make", "message"), BAD.values(), ids=BAD)
def test_bad_input_is_refused(make, message):
    maps = np.random.default_rng(0).uniform(size=(2, 6, 8))
    with pytest.raises((ValueError, TypeError), match=message):
        make(maps)


def test_bad_input_of_a_table_is_refused_before_the_model_runs(scenes):
    model, labels = load_model(), scenes.labels[:, 0]

    def evaluated(metrics, **options):
        return tfcam.evaluate(model, scenes.images, labels, "grad-cam", None, metrics, **options)

    with pytest.raises(ValueError, match="give masks= or boxes= to evaluate"):
        evaluated(["iou"])
    with pytest.raises(ValueError, match="to evaluate\\(\\) itself"):
        evaluated({"iou": {"masks": scenes.masks[:, 0]}}, masks=scenes.masks[:, 0])
    with pytest.raises(ValueError, match="The objects of 3 images were given for 8 images"):
        evaluated(["iou"], masks=scenes.masks[:3, 0])
    dataset = tf.data.Dataset.from_tensor_slices((scenes.images, labels)).batch(3)
    for masks in (scenes.masks[:3, 0], np.repeat(scenes.masks[:, 0], 2, axis=0)):
        with pytest.raises(ValueError, match="The objects of"):
            tfcam.evaluate(model, dataset, None, "grad-cam", None, ["iou"], masks=masks)
