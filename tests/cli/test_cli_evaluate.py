"""``tfcam evaluate``: a table of methods and metrics for a folder of images, which an interrupt does not lose."""

import csv
import json

import numpy as np
import pytest

pytest.importorskip("typer")
from command_line import invoke
from PIL import Image

import tfcam
from tfcam import evaluation
from tfcam.demo import CLASSES, make_scenes

pytestmark = pytest.mark.usefixtures("small_demo_model")

COUNT = 7
ASKED = ["--method", "grad-cam", "--method", "hires-cam", "--metric", "deletion:percent=25", "--metric", "average-drop"]


@pytest.fixture
def scenes():
    made = make_scenes(COUNT, seed=3)
    return made.images, made.labels[:, 0]


@pytest.fixture
def folder(tmp_path, scenes):
    """Return a folder of images, in a folder for each class."""
    for index, (image, label) in enumerate(zip(*scenes, strict=True)):
        place = tmp_path / "images" / CLASSES[label]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{index}.png")
    return tmp_path / "images"


def run(*arguments):
    return invoke("evaluate", *arguments)


def rows(output):
    with (output / "evaluation.csv").open(encoding="utf-8") as file:
        return {row["method"]: row for row in csv.DictReader(file)}


def test_the_table_is_that_of_python(folder, scenes, tmp_path):
    out = tmp_path / "out"
    result = run(folder, *ASKED, "--layer", "relu3", "--output", out, "--batch-size", 3)
    assert result.exit_code == 0, result.output
    metrics = {"deletion": {"percent": 25}, "average-drop": {}}
    expected = tfcam.evaluate(tfcam.demo.load_model(), *scenes, ["grad-cam", "hires-cam"], "relu3", metrics)
    for row in expected.rows:
        assert rows(out)[row.method]["layer"] == "relu3"
        for name, estimate in row.estimates.items():
            assert float(rows(out)[row.method][name]) == pytest.approx(estimate.mean, rel=1e-4)
            assert row.method in result.output and name in result.output
    assert json.loads((out / "evaluation.json").read_text())["higher_is_better"] == {
        "deletion": False,
        "average-drop": False,
    }
    assert np.asarray(Image.open(out / "evaluation.png")).std() > 5


def interrupt_after(monkeypatch, batches):
    measured, calls = evaluation.Evaluator.measured, []

    def interrupted(self, batch):
        calls.append(batch.count)
        if len(calls) > batches:
            raise KeyboardInterrupt
        return measured(self, batch)

    monkeypatch.setattr(evaluation.Evaluator, "measured", interrupted)
    return calls


def test_an_interrupted_run_goes_on_from_what_is_measured(folder, tmp_path, monkeypatch):
    asked = [folder, *ASKED, "--batch-size", 2]
    assert run(*asked, "--output", tmp_path / "whole").exit_code == 0
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        interrupt_after(patch, 2)
        result = run(*asked, "--output", out)
    assert result.exit_code == 130 and "4 of 7 images are measured; the same command goes on" in result.output
    journal = out / "measured.jsonl"
    # As if it was cut off in the midst of a line.
    journal.write_text(journal.read_text()[:-20])
    with monkeypatch.context() as patch:
        calls = interrupt_after(patch, 99)
        result = run(*asked, "--output", out)
    assert result.exit_code == 0 and "3 of 7 images are measured already" in result.output
    assert sum(calls) == 4
    for method, row in rows(tmp_path / "whole").items():
        for column in ("deletion", "average-drop", "deletion low", "deletion images"):
            assert float(rows(out)[method][column]) == pytest.approx(float(row[column]), rel=1e-4)


def test_other_settings_are_refused_unless_it_begins_anew(folder, tmp_path):
    out = tmp_path / "out"
    assert run(folder, *ASKED, "--output", out).exit_code == 0
    with pytest.raises(ValueError, match=r"other settings.*--overwrite"):
        invoke("evaluate", folder, "--metric", "deletion", "--output", out, catch_exceptions=False)
    assert run(folder, "--method", "eigen-cam", "--metric", "complexity", "--output", out, "--overwrite").exit_code == 0
    assert list(rows(out)) == ["eigen-cam"]


def test_another_model_in_the_same_file_is_another_setting(folder, tmp_path, small_demo_model):
    path, out = tmp_path / "mine.keras", tmp_path / "out"
    (tmp_path / "names.txt").write_text("\n".join(CLASSES), encoding="utf-8")
    asked = [folder, "--model", path, "--classes", tmp_path / "names.txt", "--metric", "complexity", "--output", out]
    small_demo_model.save(path)
    assert run(*asked, "--method", "grad-cam").exit_code == 0
    assert f"{COUNT} of {COUNT} images are measured already" in run(*asked, "--method", "grad-cam").output
    small_demo_model.set_weights([-weights for weights in small_demo_model.get_weights()])
    small_demo_model.save(path)
    with pytest.raises(ValueError, match=r"other settings.*--overwrite"):
        invoke("evaluate", *asked, "--method", "grad-cam", catch_exceptions=False)


def test_images_that_cannot_be_read_are_told_and_the_others_measured(folder, tmp_path):
    (next(folder.iterdir()) / "broken.png").write_text("no image")
    result = run(folder, *ASKED, "--output", tmp_path / "out")
    assert result.exit_code == 1 and "broken.png cannot be read" in result.output
    assert "1 of 8 images are left out" in result.output
    assert rows(tmp_path / "out")["grad-cam"]["deletion images"] == "7"


@pytest.mark.parametrize("by", ["name", "class_index"])
def test_a_csv_names_classes_by_number_or_name(by, folder, tmp_path):
    flat, labels = tmp_path / "flat", tmp_path / "labels.csv"
    flat.mkdir()
    lines = [f"file,{by}"]
    for image in sorted(folder.rglob("*.png")):
        image.rename(flat / image.name)
        name = image.parent.name
        lines.append(f"{image.name},{name if by == 'name' else CLASSES.index(name)}")
    labels.write_text("\n".join(lines))
    result = run(flat, "--labels", labels, *ASKED, "--output", tmp_path / "out")
    assert result.exit_code == 0 and rows(tmp_path / "out")["grad-cam"]["deletion images"] == "7"


def test_as_many_folders_as_classes_are_these_in_order(tmp_path, scenes):
    for index, name in enumerate("abcdefgh"):
        (tmp_path / "images" / name).mkdir(parents=True)
        if index < COUNT:
            Image.fromarray(scenes[0][index]).save(tmp_path / "images" / name / "one.png")
    Image.fromarray(scenes[0][0]).save(tmp_path / "images" / "h" / "one.png")
    out = tmp_path / "out"
    assert run(tmp_path / "images", *ASKED, "--output", out).exit_code == 0
    lines = (out / "measured.jsonl").read_text().splitlines()[1:]
    assert [json.loads(line)["label"] for line in lines] == list(range(8))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("", "begins with nothing: its first line names the columns"),
        ("picture,kind\n0.png,3\n", "begins with picture, kind"),
        ("file,class\n0.png\n", "line 2, has 1 columns, not 2"),
        ("file,class\n", "names no image"),
        ("file,class\n0.png,zebra\n", "'zebra' is none of the model's classes"),
        ("file,class\n0.png,8\n", "is of class 8; the model has the classes 0 to 7"),
    ],
)
def test_bad_labels_are_refused(labels, message, folder, tmp_path):
    (tmp_path / "labels.csv").write_text(labels)
    result = run(folder, "--labels", tmp_path / "labels.csv", "--output", tmp_path / "out")
    assert message in str(result.exception)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--metric", "deletion:10"], "options are written as deletion:percent=10"),
        (["--metric", "deletio"], "is no metric"),
        (["--method", "gradcamm"], "is no method"),
        (["--labels", "none.csv"], "none.csv cannot be read"),
    ],
)
def test_bad_arguments_are_refused(arguments, message, folder, tmp_path):
    result = run(folder, *arguments, "--output", tmp_path / "out")
    assert message in str(result.exception)


def test_a_csv_may_have_blank_lines_and_quoted_line_breaks(folder, tmp_path):
    flat = tmp_path / "flat"
    flat.mkdir()
    names = []
    for index, image in enumerate(sorted(folder.rglob("*.png"))):
        name = "two\nlines.png" if index == 0 else image.name
        names.append((name, image.parent.name))
        image.rename(flat / name)
    lines = ["file,name", "", *(f'"{name}",{label}' for name, label in names), "", " , "]
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    result = run(flat, "--labels", tmp_path / "labels.csv", *ASKED, "--output", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert rows(tmp_path / "out")["grad-cam"]["deletion images"] == "7"


def test_folders_that_are_no_classes_are_refused(tmp_path):
    (tmp_path / "images").mkdir()
    assert "holds no folder of images" in str(run(tmp_path / "images").exception)
    (tmp_path / "images" / "zebra").mkdir()
    Image.new("RGB", (96, 96)).save(tmp_path / "images" / "zebra" / "one.png")
    assert "not named after the model's classes" in str(run(tmp_path / "images").exception)
    assert "is no folder" in str(run(tmp_path / "nowhere").exception)


def test_the_metrics_are_listed():
    result = invoke("metrics")
    assert result.exit_code == 0 and all(name in result.output for name in tfcam.METRICS)
