"""Tasks but classification on the command line: why these pixels, why this value."""

import json

import keras
import numpy as np
import pytest

pytest.importorskip("typer")
from command_line import invoke, written
from PIL import Image

import tfcam
from tfcam.demo import CLASSES, load_model, make_scenes

SEGMENTATION = ["--model", "segmenter", "--task", "segmentation"]
SCENES = make_scenes(4, objects=2, seed=11)
MUSHROOM = SCENES.labels[0, 0]


@pytest.fixture
def folder(tmp_path):
    """Return a folder of scenes, in a folder for the class of each one's first object."""
    for index, (image, (label, _)) in enumerate(zip(SCENES.images, SCENES.labels, strict=True)):
        place = tmp_path / "scenes" / CLASSES[label]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{index}.png")
    return tmp_path / "scenes"


def explain(scene, tmp_path, *arguments):
    output = tmp_path / "out"
    return invoke("explain", scene, "--output", output, "--existing", "overwrite", *arguments), output


def scene_of(folder):
    return folder / CLASSES[MUSHROOM] / "0.png"


@pytest.mark.parametrize("region", ["predicted", "border", "40,60,90,90"])
def test_a_region_is_explained_and_outlined(folder, tmp_path, region):
    options = ["--class", CLASSES[MUSHROOM], "--region", region, "--method", "grad-cam", "--save-maps", "--bare"]
    result, output = explain(scene_of(folder), tmp_path, *SEGMENTATION, *options)
    assert result.exit_code == 0, result.output
    given = tuple(map(int, region.split(","))) if "," in region else region
    explainer = tfcam.GradCAM(load_model("segmenter"), operator=tfcam.Segmentation(given))
    [(_, targets, maps)] = explainer.stream(SCENES.images[:1].astype("float32"), MUSHROOM)
    np.testing.assert_allclose(np.load(output / "0.png_cam.npy"), maps[0, ..., 0], atol=1e-4 * np.max(maps))
    explained = targets["region"][0, ..., 0].numpy()
    assert f"{CLASSES[MUSHROOM]} ({explained.sum():.0f} of 9216 pixels)" in result.output
    picture = np.asarray(Image.open(output / "0.png_cam.png").convert("RGB"))
    expected = tfcam.blend(SCENES.images[0], maps[0], 0.6, "turbo", grey=True, region=explained)
    assert np.abs(picture.astype(int) - expected).max() <= 2


def test_an_image_without_the_class_is_said_and_the_others_go_on(folder, tmp_path):
    result, output = explain(folder, tmp_path, *SEGMENTATION, "--class", MUSHROOM)
    assert result.exit_code == 1 and "3 of 4 images have no overlay" in result.output
    assert written(output) == [f"{CLASSES[MUSHROOM]}/0.png_cam.png"]
    lacking = [line for line in result.output.splitlines() if line.startswith("Skipped:")]
    assert len(lacking) == 3
    for line, index in zip(sorted(lacking), sorted((1, 2, 3), key=lambda i: CLASSES[SCENES.labels[i, 0]]), strict=True):
        assert f"/{index}.png: " in line and f"empty region='predicted' of class {MUSHROOM}" in line


def test_the_methods_are_ranked_by_the_score_of_the_region(folder, tmp_path):
    output, metrics = tmp_path / "out", {"deletion": {"percent": 25}, "relevance-mass-accuracy": {}}
    wanted = ["--metric", "deletion:percent=25", "--metric", "relevance-mass-accuracy", "--in-region"]
    options = ["--method", "grad-cam", "--method", "hires-cam", "--layer", "relu_up3", *wanted, "--output", output]
    result = invoke("evaluate", folder, *SEGMENTATION, *options)
    assert result.exit_code == 0, result.output
    measured = json.loads((output / "evaluation.json").read_text())["rows"]
    model, labels = load_model("segmenter"), SCENES.labels[:, 0]
    pixels = SCENES.images.astype("float32")
    named = {"operator": "segmentation", "masks": "region"}
    expected = tfcam.evaluate(model, pixels, labels, ["grad-cam", "hires-cam"], "relu_up3", metrics, **named)
    regions = np.asarray(model(pixels)).argmax(-1) == labels[:, None, None]
    by_hand = tfcam.evaluate(
        *(model, pixels, labels, ["grad-cam", "hires-cam"], "relu_up3", metrics), operator="segmentation", masks=regions
    )
    for row, other in zip(expected.rows, by_hand.rows, strict=True):
        [told] = [one for one in measured if one["method"] == row.method]
        for name, estimate in row.estimates.items():
            assert told[name] == pytest.approx(estimate.mean, rel=1e-3)
            assert other.estimates[name].mean == pytest.approx(estimate.mean, rel=1e-5)


def test_an_image_without_its_class_is_left_out_of_the_evaluation(folder, tmp_path):
    scene_of(folder).rename(folder / CLASSES[SCENES.labels[1, 0]] / "0.png")
    options = ["--method", "grad-cam", "--metric", "deletion:percent=50", "--output", tmp_path / "out"]
    result = invoke("evaluate", folder, *SEGMENTATION, *options)
    assert result.exit_code == 1 and "1 of 4 images are left out" in result.output
    assert "0.png: " in result.output and "empty region='predicted'" in result.output
    again = invoke("evaluate", folder, *SEGMENTATION, "--region", "all", *options)
    assert "was measured with other settings" in str(again.exception)


def test_a_region_is_shown_at_every_depth(folder, tmp_path):
    output = tmp_path / "depths.png"
    options = ["--image", scene_of(folder), "--output", output, "--most", 4, "--class", CLASSES[MUSHROOM]]
    result = invoke("layers", *SEGMENTATION[1:2], *SEGMENTATION[2:], *options)
    assert result.exit_code == 0, result.output
    assert f"{CLASSES[MUSHROOM]} (" in result.output and "of 9216 pixels)" in result.output and output.exists()


def test_the_score_of_a_task_without_classes_is_said(folder, tmp_path):
    result, _ = explain(scene_of(folder), tmp_path, "--task", "doubt")
    assert result.exit_code == 0, result.output
    shares = np.asarray(load_model()(SCENES.images[:1].astype("float32")))[0].astype("float64")
    assert f"doubt ({-(shares * np.log(shares)).sum():.3f})" in result.output
    result, _ = explain(scene_of(folder), tmp_path, "--task", "doubt", "--method", "eigen-cam")
    assert result.exit_code == 0 and ".png: doubt ->" in result.output
    inputs = keras.Input((96, 96, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, 8)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(1)(pooled))
    model.save(tmp_path / "value.keras")
    result, _ = explain(scene_of(folder), tmp_path, "--task", "regression", "--model", tmp_path / "value.keras")
    assert result.exit_code == 0, result.output
    assert f"regression ({float(model(SCENES.images[:1].astype('float32'))[0, 0]):.3f})" in result.output


REFUSED = {
    "a region of a class": (["--region", "border"], "--region border is of a segmentation: add --task segmentation"),
    "no numbers": ([*SEGMENTATION, "--region", "1,b"], "--region 1,b must be a name, ROW,COLUMN or TOP,LEFT,BOTTOM"),
    "another name": ([*SEGMENTATION, "--region", "edge"], "region='edge' is none of"),
    "a box outside": ([*SEGMENTATION, "--region", "0,0,200,20"], "has no pixel, or some outside of the output of"),
    "no task": (["--task", "segment"], "operator='segment' names no task; the tasks are"),
    "no masks": (["--model", "cnn", "--task", "segmentation"], "one prediction for an image and none for each"),
    "no reference": (["--task", "similarity"], "compares with a reference, and there is none"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_means_nothing_is_refused(what, folder, tmp_path):
    options, message = REFUSED[what]
    result, output = explain(scene_of(folder), tmp_path, *options)
    assert result.exit_code != 0 and message in str(result.exception) + result.output
    assert not output.exists() or not written(output)


def test_objects_are_told_once(folder, tmp_path):
    result = invoke("evaluate", folder, *SEGMENTATION, "--in-region", "--masks", folder, "--output", tmp_path / "out")
    assert "--in-region says where the objects are" in str(result.exception)
    result = invoke("evaluate", folder, "--in-region", "--method", "grad-cam", "--output", tmp_path / "out")
    assert "is the region that operator='segmentation' explains" in str(result.exception)
