"""``tfcam evaluate`` with masks and boxes from files, which are scaled as the images are."""

import csv

import numpy as np
import pytest

pytest.importorskip("typer")
from command_line import invoke
from PIL import Image

import tfcam
from tfcam.demo import CLASSES, load_model, make_scenes

ASKED = ["--method", "grad-cam", "--metric", "pointing-game:tolerance=3", "--metric", "iou", "--metric", "max-box-acc"]


@pytest.fixture
def scenes():
    return make_scenes(5, seed=3)


def twice(array):
    return np.kron(array, np.ones((2, 2), array.dtype))


@pytest.fixture
def folder(tmp_path, scenes):
    """Return a folder of images of twice the size, with masks and boxes of that size."""
    lines = ["file,left,top,right,bottom"]
    for index, (image, [label], [mask]) in enumerate(zip(*scenes, strict=True)):
        name = f"{CLASSES[label]}/{index}"
        for place in ("images", "masks"):
            (tmp_path / place / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.kron(image, np.ones((2, 2, 1), np.uint8))).save(tmp_path / "images" / f"{name}.png")
        Image.fromarray(twice(mask) * np.uint8(1)).save(tmp_path / "masks" / f"{name}.gif")
        rows, columns = np.where(twice(mask))
        lines.append(f"{name}.png, {columns.min()}, {rows.min()}, {columns.max() + 1}, {rows.max() + 1}")
    (tmp_path / "boxes.csv").write_text("\n".join(lines))
    return tmp_path


def run(folder, *arguments):
    arguments = [str(folder / "images"), *ASKED, "--output", str(folder / "out"), *map(str, arguments)]
    return invoke("evaluate", *arguments)


def measured(folder):
    with (folder / "out" / "evaluation.csv").open(encoding="utf-8") as file:
        [row] = csv.DictReader(file)
    return {name: float(row[name]) for name in ("pointing-game", "iou", "max-box-acc")}


def test_masks_and_boxes_are_those_of_the_images_that_the_model_gets(folder, scenes):
    maps = tfcam.GradCAM(load_model()).explain(scenes.images, scenes.labels[:, 0])
    result = run(folder, "--masks", folder / "masks", "--boxes", folder / "boxes.csv", "--batch-size", 2)
    assert result.exit_code == 0, result.output
    expected = {}
    for name, options in {"pointing-game": {"tolerance": 3}, "iou": {}, "max-box-acc": {}}.items():
        expected[name] = tfcam.get_metric(name)(masks=scenes.masks[:, 0], **options).evaluate(maps)
    assert measured(folder) == pytest.approx(expected, abs=0.02)
    # A second run takes all from the journal.
    result = run(folder, "--masks", folder / "masks", "--boxes", folder / "boxes.csv", "--batch-size", 2)
    assert "5 of 5 images are measured already" in result.output
    assert measured(folder) == pytest.approx(expected, abs=0.02)


def test_images_without_a_mask_and_with_an_empty_one_are_left_out_and_said(folder):
    first, second, *_ = sorted((folder / "masks").rglob("*.gif"))
    first.unlink()
    Image.new("L", (192, 192)).save(second)
    result = run(folder, "--masks", folder / "masks")
    assert result.exit_code == 1
    assert "there is no mask named" in result.output and "no foreground" in result.output
    assert "2 of 5 images are left out" in result.output
    measured(folder)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["file,x,y"], "has no box"),
        (["file,left,top,right,bottom", "a.png,1,2,3"], "line 2: its first line must name the columns"),
        (["file,x,y,w,h", "a.png,1,2,3,4"], "must name the columns file, left, top, right, bottom"),
    ],
)
def test_bad_boxes_are_refused(folder, lines, message):
    (folder / "boxes.csv").write_text("\n".join(lines))
    assert message in str(run(folder, "--boxes", folder / "boxes.csv").exception)


def test_a_box_outside_of_its_image_is_said(folder):
    text = (folder / "boxes.csv").read_text().splitlines()
    text[1] = text[1].rpartition(",")[0] + ",999"
    (folder / "boxes.csv").write_text("\n".join(text))
    result = run(folder, "--boxes", folder / "boxes.csv")
    assert "lies outside of its image" in result.output and result.exit_code == 1


def test_what_is_missing_is_asked_for(folder):
    assert "--masks or --boxes on the command line" in str(run(folder).exception)
    assert "is no folder" in str(run(folder, "--masks", folder / "none").exception)
