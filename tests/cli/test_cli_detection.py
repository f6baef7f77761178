"""Why this box, on the command line."""

import json

import numpy as np
import pytest

pytest.importorskip("typer")
from command_line import invoke
from PIL import Image

import tfcam
from tfcam.demo import CLASSES, load_model, make_scenes

SCENE = make_scenes(1, objects=3, seed=11)
PIXELS = SCENE.images.astype("float32")


@pytest.fixture(scope="module")
def found():
    """Return the maps of three detections of the scene, and the detections."""
    return tfcam.ODAM(load_model("detector")).explain_detections(PIXELS, k=3)


@pytest.fixture
def photo(tmp_path):
    Image.fromarray(SCENE.images[0]).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def said(name, confidence):
    return f"{CLASSES[name]} ({confidence:.3f})"


def test_the_surest_detections_are_explained_each_with_its_box(photo, tmp_path, found):
    """The embedded detector is taken, and ODAM, unless others are named."""
    result = invoke("explain", photo, "--task", "detection", "--top", 3, "--output", tmp_path / "o", "--save-maps")
    assert result.exit_code == 0, result.output
    assert "of tfcam_demo_detector by odam" in result.output
    maps, detections = found
    each = [said(*one) for one in zip(detections["classes"][0], detections["confidence"][0], strict=True)]
    assert ", ".join(each) in result.output
    saved = np.load(tmp_path / "o" / "photo.png_cam.npy")
    np.testing.assert_allclose(saved, maps[0, ..., 0], atol=1e-4 * np.max(maps))


def test_a_detection_is_that_of_the_class_that_is_named(photo, tmp_path, found):
    _, detections = found
    label = int(detections["classes"][0, 1])
    arguments = ["--class", CLASSES[label], "--method", "layer-cam", "--task", "detection", "--bare"]
    result = invoke("explain", photo, *arguments, "--output", tmp_path / "o")
    assert result.exit_code == 0 and said(label, detections["confidence"][0, 1]) in result.output
    explainer = tfcam.LayerCAM(load_model("detector"), operator="detection")
    maps = explainer.explain(PIXELS, label)[0]
    box = detections["boxes"][0, 1]
    region = np.zeros((96, 96), bool)
    rows, columns = (np.arange(96) + 0.5 for _ in range(2))
    region[np.ix_((rows >= box[1]) & (rows < box[3]), (columns >= box[0]) & (columns < box[2]))] = True
    expected = tfcam.blend(SCENE.images[0], maps, 0.6, "turbo", grey=True, region=region)
    picture = np.asarray(Image.open(tmp_path / "o" / "photo.png_cam.png").convert("RGB"))
    assert np.abs(picture.astype(int) - expected).max() <= 2


def test_fewer_detections_than_asked_for_have_fewer_panels(photo, tmp_path, found):
    _, detections = found
    least = float(detections["confidence"][0, 1:].mean())
    several = ["explain", photo, "--task", "detection", "--top", 3, "--output", tmp_path / "o"]
    result = invoke(*several, "--threshold", least)
    sure = (detections["confidence"][0] > least).sum()
    assert result.exit_code == 0 and result.output.count("(0.") + result.output.count("(1.") == sure < 3
    none = invoke(*several, "--threshold", 1.0, "--existing", "overwrite")
    assert none.exit_code == 2 and "photo.png has no detection above the threshold" in none.output


def test_what_is_of_detections_alone_is_said(photo, tmp_path):
    result = invoke("explain", photo, "--threshold", 0.2, "--output", tmp_path / "o")
    assert "--threshold 0.2 is of detections: add --task detection" in str(result.exception)


def test_detections_are_evaluated_in_their_boxes(tmp_path):
    scenes = make_scenes(2, objects=3, seed=3)
    _, found = tfcam.ODAM(load_model("detector")).explain_detections(scenes.images.astype("float32"), k=1)
    for index, image in enumerate(scenes.images):
        place = tmp_path / "in" / CLASSES[int(found["classes"][index, 0])]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{index}.png")
    metrics = [
        "--metric",
        "pointing-game:tolerance=0",
        "--metric",
        "energy-pointing-game",
        "--metric",
        "deletion:percent=50",
    ]
    methods = ["--method", "odam", "--method", "eigen-cam"]
    result = invoke(
        "evaluate",
        tmp_path / "in",
        "--task",
        "detection",
        "--in-region",
        *methods,
        *metrics,
        "--output",
        tmp_path / "e",
    )
    assert result.exit_code == 0, result.output
    rows = json.loads((tmp_path / "e" / "evaluation.json").read_text())["rows"]
    told = {row["method"]: row for row in rows}
    assert told["odam"]["pointing-game"] == 1.0
    assert told["odam"]["energy-pointing-game"] > told["eigen-cam"]["energy-pointing-game"]


def test_a_method_of_detections_brings_its_task_and_its_model(photo, tmp_path):
    result = invoke("explain", photo, "--method", "odam", "--output", tmp_path / "o")
    assert result.exit_code == 0 and "of tfcam_demo_detector by odam" in result.output
    (tmp_path / "in" / CLASSES[SCENE.labels[0, 0]]).mkdir(parents=True)
    photo.rename(tmp_path / "in" / CLASSES[SCENE.labels[0, 0]] / "photo.png")
    measured = ["--metric", "deletion:percent=50", "--output", tmp_path / "e"]
    result = invoke("evaluate", tmp_path / "in", "--method", "odam", *measured)
    assert result.exit_code == 0, result.output
