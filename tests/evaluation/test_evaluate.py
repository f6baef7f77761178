"""tfcam.evaluate: what each metric says of each method, with intervals and ranks, from shared passes."""

import json
import sys
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_models import LABELS, L

import tfcam
from tfcam.metrics import AverageDrop, Deletion

METHODS = ["grad-cam", "xgrad-cam", "eigen-cam"]
LAYERS = ["first", "second"]
METRICS = {"average-drop": {}, "deletion": {"percent": 25}, "coherency": {}, "mu-fidelity": {"samples": 20}}


#: One evaluation for all tests that look at it: model and images are the same each time.
EVALUATED = []


@pytest.fixture
def evaluation(model, images):
    if not EVALUATED:
        EVALUATED.append(tfcam.evaluate(model, images, LABELS, METHODS, LAYERS, METRICS, batch_size=2))
    return EVALUATED[0]


def test_it_says_what_each_metric_says_alone(evaluation, model, images):
    assert set(evaluation.per_sample) == {(method, layer) for method in METHODS for layer in LAYERS}
    for (method, layer), values in evaluation.per_sample.items():
        explainer = tfcam.get_method(method)(model, conv_layer=layer)
        maps = explainer.explain(images, LABELS)
        for name, options in METRICS.items():
            metric = tfcam.get_metric(name)(model, images, LABELS, constant="nan", **options)
            alone = metric.per_sample(maps, explainer if metric.needs_explainer else None)
            np.testing.assert_allclose(values[name], alone, rtol=1e-3, atol=1e-4)


def test_means_intervals_and_ranks_follow_from_the_values(evaluation):
    assert [row.rank for row in evaluation.rows] == sorted(row.rank for row in evaluation.rows)
    for name, higher_is_better in evaluation.metrics.items():
        means = [row.estimates[name].mean for row in evaluation.rows]
        for row in evaluation.rows:
            values, one = evaluation.per_sample[row.method, row.layer][name], row.estimates[name]
            values = values[~np.isnan(values)]
            assert one.mean == pytest.approx(values.mean())
            assert one.low <= one.mean <= one.high and values.min() <= one.low and one.high <= values.max()
            better = sum(mean > one.mean if higher_is_better else mean < one.mean for mean in means)
            alike = sum(mean == one.mean for mean in means)
            assert one.rank == better + (alike + 1) / 2 and one.images == len(values)


def test_an_interval_holds_the_mean_of_a_normal_distribution_as_often_as_it_says():
    drawn = np.random.default_rng(0).normal(size=(300, 60))
    intervals = [tfcam.Evaluation({("a", "b"): {"c": one}}, {"c": True}, {}).rows[0].estimates["c"] for one in drawn]
    held = np.mean([one.low <= 0 <= one.high for one in intervals])
    assert 0.90 <= held <= 0.98


def test_two_methods_are_compared_image_by_image():
    noise = np.random.default_rng(0).normal(size=50)
    values = {("a", "x"): {"m": noise}, ("b", "x"): {"m": noise + 0.01}, ("c", "x"): {"m": noise[::-1]}}
    found = tfcam.Evaluation(values, {"m": False}, {})
    better = found.difference("m", ("a", "x"), ("b", "x"))
    assert better.mean == pytest.approx(-0.01) and better.high < 0 and better.wins == 1.0
    assert found.difference("m", ("a", "x"), ("a", "x")) == (0, 0, 0, 0.5)
    unclear = found.difference("m", ("a", "x"), ("c", "x"))
    assert unclear.low < 0 < unclear.high and 0.3 < unclear.wins < 0.7
    with pytest.raises(ValueError, match=r"\('d', 'x'\) was not evaluated; what was"):
        found.difference("m", ("d", "x"), ("a", "x"))
    with pytest.raises(ValueError, match="'n' was not measured; what was, is m"):
        found.difference("n", ("a", "x"), ("b", "x"))


def test_passes_are_shared(images):
    seen = []

    class Counting(tf.keras.layers.Layer):
        def call(self, x):
            tf.py_function(lambda one: seen.append(len(one)), [x], [])
            return x

    inputs = tf.keras.Input((16, 12, 3))
    x = tf.keras.layers.Conv2D(3, 3, activation="relu")(Counting()(inputs))
    x = tf.keras.layers.GlobalMaxPooling2D()(x)
    model = tf.keras.Model(inputs, tf.keras.layers.Dense(4, activation="softmax")(x))
    metrics = {"mu-fidelity": {"samples": 10}, "average-drop": {}, "average-gain": {}, "deletion": {"percent": 25}}
    seen.clear()
    tfcam.evaluate(model, images, LABELS, METHODS, None, metrics, batch_size=5)
    measured = 1 + 10 + 1 + len(METHODS) * (1 + 3)  # clean, subsets, baseline; and for each method a mask and steps
    explained = 1 + 2 * len(METHODS)  # all at once; and each alone, twice, which tells what it takes
    assert sum(seen) <= 5 * (measured + explained) + 10  # what is called on single images to see what it takes


def test_the_table_prints_and_is_read_by_others(evaluation, tmp_path):
    text = str(evaluation)
    assert len(text.splitlines()) == 1 + len(METHODS) * len(LAYERS) and "average-drop ↓" in text and "xgrad-cam" in text
    first = evaluation.rows[0]
    records = evaluation.records()
    assert records[0]["method"] == first.method and records[0]["deletion"] == first.estimates["deletion"].mean
    assert {"deletion low", "deletion high", "deletion images", "deletion rank", "seconds", "rank"} <= set(records[0])
    assert evaluation.to_csv(tmp_path / "a.csv") == (tmp_path / "a.csv").read_text(encoding="utf-8")
    assert evaluation.to_csv().splitlines()[1].startswith(f"{first.method},{first.layer},{first.rank}")
    read = json.loads(evaluation.to_json(tmp_path / "a.json"))
    assert read["rows"] == records and read["higher_is_better"]["deletion"] is False
    assert evaluation.to_markdown().startswith("| method | layer | average-drop ↓ |")
    assert evaluation._repr_html_().count("<tr>") == 1 + len(records)
    panels = [axes for axes in evaluation.plot().axes if axes.get_visible()]
    assert [axes.get_title() for axes in panels] == [f"{n} {'↑' if b else '↓'}" for n, b in evaluation.metrics.items()]


def test_the_table_is_pandas_where_there_is_pandas(evaluation, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", types.SimpleNamespace(DataFrame=lambda records: ("frame", records)))
    assert evaluation.table == ("frame", evaluation.records())
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert evaluation.table == evaluation.records()


def test_maps_that_say_nothing_are_counted_not_averaged(model, images):
    class Odd(tfcam.GradCAM):
        """Grad-CAM, but of nothing for the first image, and no number for the second."""

        def combine(self, activations, gradients):
            maps = super().combine(activations, gradients)
            factors = tf.concat([[0.0, float("nan")], tf.ones(tf.shape(maps)[0] - 2)], axis=0)
            return maps * factors[:, None, None]

    with pytest.warns(tfcam.ExplanationWarning, match="NaN"):
        [row] = tfcam.evaluate(model, images, LABELS, Odd, None, ["deletion"]).rows
    assert row.estimates["deletion"].images == 3 and np.isfinite(row.estimates["deletion"].mean)


def test_it_takes_datasets_explainers_classes_and_progress(model, images):
    dataset = tf.data.Dataset.from_tensor_slices((images, LABELS)).batch(2)
    told = []
    methods = [tfcam.GradCAM, tfcam.GradCAM(model, conv_layer="first", smooth="noise"), "Score-CAM", "rise"]
    metrics = [Deletion, ("average-drop", {"mask": "max"}), (AverageDrop, {"keep": 0.5})]
    methods[-1] = tfcam.RISE(model, samples=20)
    found = tfcam.evaluate(model, dataset, None, methods, None, metrics, progress=told.append)
    assert list(found.metrics) == ["deletion", "average-drop", "average-drop 2"] and told == [2, 4, 5]
    keys = {("grad-cam", "second"), ("grad-cam 2", "first"), ("score-cam", "second"), ("rise", "input")}
    assert set(found.per_sample) == keys


def test_what_is_asked_for_twice_is_numbered(model, images):
    again = [tfcam.GradCAM(model) for _ in range(2)]
    metrics = ["complexity", "complexity", "complexity"]
    found = tfcam.evaluate(model, images, LABELS, ["grad-cam", *again], ["second", "second", -1, "first"], metrics)
    seconds = [key for key in found.per_sample if key[1] == "second"]
    assert len(found.per_sample) == 6 and len(seconds) == 5
    assert list(found.metrics) == ["complexity", "complexity 2", "complexity 3"]


def test_by_default_all_methods_of_one_pass_are_measured(pooled_model, images):
    found = tfcam.evaluate(pooled_model, images[:2], [0, 1], metrics="average-drop")
    assert len(found.rows) > 10 and {"grad-cam", "xgrad-cam", "random-cam"} <= {row.method for row in found.rows}
    regression = tfcam.evaluate(pooled_model, images[:2], 1, "grad-cam", operator="regression")
    assert {"deletion", "insertion", "road", "mu-fidelity"} == set(regression.metrics)


def test_a_figure_shows_no_panels_but_those_of_its_metrics(pooled_model, images):
    found = tfcam.evaluate(pooled_model, images[:2], [0, 1], "grad-cam", metrics=["complexity"] * 5)
    assert sum(axes.get_visible() for axes in found.plot().axes) == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"methods": "grad-can"}, "'grad-can' is no method"),
        ({"methods": []}, "evaluates nothing"),
        ({"layers": "conv9"}, "conv_layer='conv9' names no layer"),
        ({"metrics": "deletio"}, "no metric. Did you mean 'deletion'"),
        ({"metrics": []}, "measures nothing"),
        ({"metrics": [3]}, "metrics are names"),
        ({"targets": None}, "targets are missing"),
        ({"confidence": 95}, "confidence must lie between 0 and 1"),
    ],
)
def test_bad_arguments_are_refused(arguments, message, model, images):
    given = {"targets": LABELS, "methods": "grad-cam", "metrics": "average-drop"} | arguments
    with pytest.raises((ValueError, TypeError), match=message):
        tfcam.evaluate(model, images, **given)


def test_a_function_cannot_be_explained(images):
    with pytest.raises(TypeError, match=r"metrics of tfcam.metrics take maps of yours, and any function"):
        tfcam.evaluate(lambda x: x, images, 0)


def test_maps_that_are_made_again_are_aligned_as_the_first(model, images):
    metrics = {"coherency": {}, "random-logit": {"samples": 1}}
    asked = {"methods": ["grad-cam"], "metrics": metrics}
    stretched = tfcam.evaluate(model, images, "predicted", **asked)
    places = {"resize": "aligned", "align": (13.0, 5.0)}
    aligned = tfcam.evaluate(model, images, "predicted", **asked, **places)
    maps = tfcam.GradCAM(model).explain(images, **places)
    again = tfcam.metrics.Coherency(model, images, "predicted").evaluate(
        maps, lambda inputs, targets: tfcam.GradCAM(model).explain(inputs, targets, **places)
    )
    values = [one.rows[0].estimates["coherency"].mean for one in (aligned, stretched)]
    np.testing.assert_allclose(values[0], again, atol=1e-3)
    assert abs(values[1] - again) > 1e-3
    with pytest.raises(ValueError, match="resize=False is not for evaluate"):
        tfcam.evaluate(model, images, "predicted", resize=False, **asked)


def test_masks_are_arrays_or_the_explained_region(model, images):
    for named in ({"masks": "object"}, {"masks": "region", "boxes": [[0, 0, 4, 4]] * 5}):
        with pytest.raises(ValueError, match=r"give masks, or 'region' alone for the region that is explained"):
            tfcam.evaluate(model, images, 1, ["grad-cam"], **named)


def test_a_region_of_a_coarser_output_is_enlarged_to_the_images(images):
    inputs = keras.Input((16, 12, 3))
    low = L.Conv2D(4, 3, activation="relu", padding="same")(inputs)
    model = keras.Model(inputs, L.Conv2D(3, 2, strides=2)(low))
    regions = np.zeros((5, 8, 6), bool)
    regions[:, 2:4, 1:5] = True
    targets = {"class": [0, 1, 2, 0, 1], "region": regions}
    asked = (["grad-cam", "random-cam"], None, {"relevance-mass-accuracy": {}, "iou": {}})
    named = {"operator": "segmentation", "batch_size": 5, "resamples": 10}
    found = tfcam.evaluate(model, images, targets, *asked, masks="region", **named)
    by_hand = tfcam.evaluate(model, images, targets, *asked, masks=regions.repeat(2, 1).repeat(2, 2), **named)
    for one, other in zip(found.rows, by_hand.rows, strict=True):
        assert {name: each.mean for name, each in one.estimates.items()} == {
            name: each.mean for name, each in other.estimates.items()
        }
