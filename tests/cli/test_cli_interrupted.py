"""Runs of the command line that are repeated: on images that change, damaged journals, and disks that are full."""

import errno
import os

import numpy as np
import pytest

pytest.importorskip("typer")
from command_line import EVALUATED, SCENES, but_for_rounding, invoke, row, save_scenes, written
from PIL import Image

from tfcam.cli.files import alone_in
from tfcam.demo import CLASSES

pytestmark = pytest.mark.usefixtures("small_demo_model")


def test_images_of_one_stem_have_an_overlay_each_whatever_stands_beside_them(tmp_path):
    save_scenes(tmp_path / "in", "cat.png", "cat.jpg", "cat.bmp")
    names = ["cat.bmp_cam.png", "cat.jpg_cam.png", "cat.png_cam.png"]
    arguments = ["explain", tmp_path / "in", "--output", tmp_path / "out", "--existing", "skip"]
    assert invoke(*arguments).exit_code == 0
    assert written(tmp_path / "out") == names
    before = {name: (tmp_path / "out" / name).read_bytes() for name in names}
    (tmp_path / "in" / "cat.jpg").unlink()
    assert "2 of 2 images have their files already" in invoke(*arguments).output
    assert {name: (tmp_path / "out" / name).read_bytes() for name in names} == before


def test_what_changed_is_explained_again_and_nothing_else(tmp_path):
    save_scenes(tmp_path / "in", "a.png", "b.png", "c.png")
    out = tmp_path / "out"
    arguments = ["explain", tmp_path / "in", "--output", out, "--existing", "skip", "--save-maps"]
    assert invoke(*arguments).exit_code == 0
    maps = {name: np.load(out / f"{name}.png_cam.npy") for name in "abc"}
    Image.fromarray(SCENES[2]).save(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "b.png").rename(tmp_path / "in" / "renamed.png")
    half = (out / "c.png_cam.png").read_bytes()
    (out / "c.png_cam.png").write_bytes(half[: len(half) // 2])
    result = invoke(*arguments)
    assert result.exit_code == 0 and "->" in result.output and "already" not in result.output
    np.testing.assert_allclose(np.load(out / "a.png_cam.npy"), maps["c"], atol=1e-5)
    np.testing.assert_allclose(np.load(out / "renamed.png_cam.npy"), maps["b"], atol=1e-5)
    assert (out / "c.png_cam.png").read_bytes() == half
    (out / "a.png_cam.npy").unlink()
    assert "2 of 3 images have their files already" in invoke(*arguments).output
    assert "3 of 3 images have their files already" in invoke(*arguments).output


# ---------------------------------------------------------------- evaluate's journal


@pytest.fixture
def classes(tmp_path):
    """Return a folder with a folder of images for each of three classes."""
    save_scenes(tmp_path / "classes", *(f"{CLASSES[index]}/{index}.png" for index in range(3)))
    return tmp_path / "classes"


def evaluate(folder, *arguments):
    return invoke("evaluate", folder, *EVALUATED, "--output", folder.parent / "out", *arguments)


def table(folder):
    return row(folder.parent / "out")


def journal(folder):
    return folder.parent / "out" / "measured.jsonl"


def test_a_table_is_of_the_images_that_are_there_now(classes):
    assert evaluate(classes).exit_code == 0
    # Moved to another class, renamed, changed, removed.
    (classes / CLASSES[0] / "0.png").rename(classes / CLASSES[1] / "0.png")
    (classes / CLASSES[1] / "1.png").rename(classes / CLASSES[1] / "one.png")
    Image.fromarray(SCENES[0]).save(classes / CLASSES[2] / "2.png")
    result = evaluate(classes)
    assert result.exit_code == 0 and "measured already" not in result.output
    now = table(classes)
    assert now["average-drop images"] == 3
    assert evaluate(classes, "--overwrite").exit_code == 0
    assert table(classes) == but_for_rounding(now)
    (classes / CLASSES[2] / "2.png").unlink()
    assert "2 of 2 images are measured already" in evaluate(classes).output
    assert table(classes)["average-drop images"] == 2


def test_a_table_is_of_the_labels_that_are_given_now(classes):
    labels = classes.parent / "labels.csv"
    names = [f"{CLASSES[index]}/{index}.png" for index in range(3)]
    labels.write_text("file,class\n" + "".join(f"{name},{CLASSES[0]}\n" for name in names))
    assert evaluate(classes, "--labels", labels).exit_code == 0
    # One is left out, one has another class.
    labels.write_text(f"file,class\n{names[0]},{CLASSES[0]}\n{names[1]},{CLASSES[1]}\n")
    assert "1 of 2 images are measured already" in evaluate(classes, "--labels", labels).output
    now = table(classes)
    assert evaluate(classes, "--labels", labels, "--overwrite").exit_code == 0
    assert now["average-drop images"] == 2 and table(classes) == but_for_rounding(now)


@pytest.mark.parametrize(
    "damage",
    [b"\x00" * 100 + b"\n", b'{"image": "a.png"\n', b"[1, 2]\n", b"null\n", b"\xff\xfe broken\n", b"{}\n", b"half"],
    ids=["NULs", "half a record", "a list", "null", "no text", "nothing", "no end"],
)
def test_damaged_lines_of_the_journal_are_said_and_measured_again(damage, classes):
    assert evaluate(classes).exit_code == 0
    whole, path = table(classes), journal(classes)
    head, first, *others = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(head + damage.replace(b"half", first[:50]) + b"".join(others if damage != b"half" else []))
    result = evaluate(classes)
    assert result.exit_code == 0 and table(classes) == but_for_rounding(whole)
    if damage.endswith(b"\n"):
        assert "1 lines of" in result.output and "measured again" in result.output
        assert "2 of 3 images are measured already" in result.output


def test_a_record_that_stands_twice_counts_once(classes):
    assert evaluate(classes).exit_code == 0
    whole, path = table(classes), journal(classes)
    with path.open("a") as file:
        file.writelines(path.read_text().splitlines(keepends=True)[1:])
    assert evaluate(classes).exit_code == 0 and table(classes) == whole


def test_a_journal_whose_first_line_is_damaged_is_named(classes):
    assert evaluate(classes).exit_code == 0
    path = journal(classes)
    path.write_bytes(b"\x00" * 40 + path.read_bytes())
    message = str(evaluate(classes).exception)
    assert str(path) in message and "damaged in its first line" in message and "--overwrite" in message
    assert evaluate(classes, "--overwrite").exit_code == 0


def test_a_changed_mask_is_measured_again(classes, tmp_path):
    for index in range(3):
        mask = np.zeros((96, 96), "uint8")
        mask[:48] = 255
        (tmp_path / "masks" / CLASSES[index]).mkdir(parents=True)
        Image.fromarray(mask).save(tmp_path / "masks" / CLASSES[index] / f"{index}.png")
    arguments = ["--metric", "energy-pointing-game", "--masks", tmp_path / "masks"]
    assert evaluate(classes, *arguments).exit_code == 0
    Image.fromarray(255 - mask).save(tmp_path / "masks" / CLASSES[0] / "0.png")
    assert "2 of 3 images are measured already" in evaluate(classes, *arguments).output


def test_a_folder_that_another_run_writes_to_is_refused(classes):
    with alone_in(classes.parent / "out"):
        message = str(evaluate(classes).exception)
        assert "Another run writes to" in message and "another --output" in message
        assert invoke("evaluate", classes, *EVALUATED, "--output", classes.parent / "other").exit_code == 0
    assert evaluate(classes).exit_code == 0


# ---------------------------------------------------------------- images and disks that fail


@pytest.mark.parametrize(
    "error", [RuntimeError("Failed to decode image"), AttributeError("mode"), IndexError(), MemoryError("too large")]
)
def test_whatever_an_image_library_raises_costs_one_image(error, tmp_path, monkeypatch):
    save_scenes(tmp_path / "in", "a.png", "b.png", "c.png")
    opened = Image.open

    def broken(path, *rest, **named):
        if str(path).endswith("b.png"):
            raise error
        return opened(path, *rest, **named)

    monkeypatch.setattr(Image, "open", broken)
    result = invoke("explain", tmp_path / "in", "--output", tmp_path / "out")
    assert result.exit_code == 1 and "b.png cannot be read as an image" in result.output
    assert (str(error) or type(error).__name__) in result.output and "1 of 3 images have no overlay" in result.output
    assert written(tmp_path / "out") == ["a.png_cam.png", "c.png_cam.png"]


def test_an_overlay_that_cannot_be_written_costs_one_image(tmp_path):
    save_scenes(tmp_path / "in", "a.png", "b.png", "c.png")
    (tmp_path / "out" / "b.png_cam.png").mkdir(parents=True)
    result = invoke("explain", tmp_path / "in", "--output", tmp_path / "out", "--existing", "overwrite")
    assert result.exit_code == 1 and "b.png_cam.png cannot be written" in result.output
    assert "1 of 3 images have no overlay" in result.output
    assert written(tmp_path / "out") == ["a.png_cam.png", "c.png_cam.png"]


@pytest.mark.parametrize("name", ["x" * 251 + ".png", "é" * 125 + ".png", "x" * 246 + ".png"])
def test_an_image_of_the_longest_name_has_an_overlay(name, tmp_path):
    save_scenes(tmp_path / "in", name, name[1:])
    arguments = ["explain", tmp_path / "in", "--output", tmp_path / "out", "--save-maps"]
    result = invoke(*arguments)
    assert result.exit_code == 0, result.output
    assert len(written(tmp_path / "out")) == 4
    assert "2 of 2 images have their files already" in invoke(*arguments, "--existing", "skip").output


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_full_disk_ends_a_run_with_what_is_done_and_leaves_no_halves(code, tmp_path, monkeypatch):
    save_scenes(tmp_path / "in", "a.png", "b.png", "c.png")
    save, saved = Image.Image.save, []

    def full(self, path, *rest, **named):
        save(self, path, *rest, **named)
        saved.append(path)
        if len(saved) == 2:
            raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Image.Image, "save", full)
    result = invoke("explain", tmp_path / "in", "--output", tmp_path / "out")
    message = str(result.exception)
    assert "b.png_cam.png cannot be written" in message and os.strerror(code) in message
    assert "1 of 3 images are done" in message and "--existing skip goes on" in message
    assert written(tmp_path / "out") == ["a.png_cam.png"]
    assert invoke("explain", tmp_path / "in", "--output", tmp_path / "out", "--existing", "skip").exit_code == 0


def test_a_table_that_cannot_be_written_leaves_the_one_before(classes, monkeypatch):
    from tfcam.evaluation.evaluator import Evaluation

    assert evaluate(classes).exit_code == 0
    before = table(classes)

    def full(self, path):
        path.write_text('{"rows": [')
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(Evaluation, "to_json", full)
        assert "evaluation.json cannot be written" in str(evaluate(classes).exception)
    assert table(classes) == before
    assert not [name for name in written(classes.parent / "out") if name.startswith(".") and name != ".lock"]
