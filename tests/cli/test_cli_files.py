"""The command line on folders, on files that are there already, and on model files."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

pytest.importorskip("typer")
from command_line import SCENES, invoke, save_scenes, written
from PIL import Image

import tfcam
from tfcam.demo import make_scenes

pytestmark = pytest.mark.usefixtures("small_demo_model")


def test_a_folder_is_explained_with_the_folders_in_it(tmp_path):
    save_scenes(tmp_path, "b.png", "a/b.PNG", "a/deeper/c.jpg")
    (tmp_path / "notes.txt").write_text("no image, and not taken for one")
    save_scenes(tmp_path, ".hidden/d.png")
    result = invoke("explain", tmp_path, "--output", tmp_path / "out", "--batch-size", 2)
    assert result.exit_code == 0, result.output
    assert written(tmp_path / "out") == ["a/b.PNG_cam.png", "a/deeper/c.jpg_cam.png", "b.png_cam.png"]
    assert len([line for line in result.output.splitlines() if "->" in line]) == 3


def test_what_pillow_knows_by_name_but_cannot_read_is_no_image_of_a_folder(tmp_path):
    save_scenes(tmp_path, "a.png", "b.bmp", "c.tiff")
    for name in ("paper.pdf", "model.h5", "movie.mpg", "print.eps"):
        (tmp_path / name).write_text("no image, and not taken for one")
    result = invoke("explain", tmp_path, "--output", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert written(tmp_path / "out") == ["a.png_cam.png", "b.bmp_cam.png", "c.tiff_cam.png"]


def test_overlays_are_not_explained_when_a_folder_is_explained_again(tmp_path):
    save_scenes(tmp_path, "b.png")
    for output in (tmp_path, tmp_path / "inside"):
        for _ in range(2):
            result = invoke("explain", tmp_path, "--output", output, "--existing", "overwrite")
            assert result.exit_code == 0, result.output
    assert written(tmp_path) == ["b.png", "b.png_cam.png", "inside/b.png_cam.png"]


def test_two_images_that_would_have_one_overlay_are_refused(tmp_path):
    save_scenes(tmp_path, "one/cat.png", "two/cat.png")
    images = sorted(tmp_path.rglob("cat.png"))
    refused = invoke("explain", *images, "--output", tmp_path / "out")
    assert "would both be written to" in str(refused.exception) and "a folder that holds both" in str(refused.exception)
    assert invoke("explain", images[0], images[0], "--output", tmp_path / "out").exit_code == 0
    assert invoke("explain", tmp_path, "--output", tmp_path / "both").exit_code == 0
    assert written(tmp_path / "both") == ["one/cat.png_cam.png", "two/cat.png_cam.png"]


def test_a_folder_without_images_is_an_error(tmp_path):
    result = invoke("explain", tmp_path, "--output", tmp_path / "out")
    assert "holds no image file" in str(result.exception)


def test_files_that_are_there_are_kept_skipped_or_overwritten_as_asked(tmp_path):
    save_scenes(tmp_path / "in", "a.png", "b.png")
    arguments = ["explain", tmp_path / "in", "--output", tmp_path / "out", "--save-maps"]
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.png_cam.npy").write_text("of nobody knows what")
    refused = invoke(*arguments)
    assert "a.png_cam.npy would be overwritten" in str(refused.exception)
    assert written(tmp_path / "out") == ["a.png_cam.npy"]
    # There is no overlay that says what the map is of.
    assert invoke(*arguments, "--existing", "skip").exit_code == 0
    assert written(tmp_path / "out") == [f"{name}.png_cam.{ending}" for name in "ab" for ending in ("npy", "png")]
    assert np.load(tmp_path / "out" / "a.png_cam.npy").shape == (96, 96)
    before = (tmp_path / "out" / "a.png_cam.png").stat().st_mtime_ns
    assert "2 of 2 images have their files already" in invoke(*arguments, "--existing", "skip").output
    assert (tmp_path / "out" / "a.png_cam.png").stat().st_mtime_ns == before
    assert invoke(*arguments, "--existing", "overwrite").exit_code == 0
    assert (tmp_path / "out" / "a.png_cam.png").stat().st_mtime_ns > before


def test_one_image_of_many_sizes_keeps_its_size(tmp_path):
    inputs = keras.Input((None, None, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, activation="relu")(inputs))
    keras.Model(inputs, keras.layers.Dense(2)(x)).save(tmp_path / "any.keras")
    Image.fromarray(SCENES[0]).resize((50, 40)).save(tmp_path / "small.png")
    save_scenes(tmp_path, "large.png")
    images = [tmp_path / "small.png", tmp_path / "large.png"]
    result = invoke("explain", *images, "--model", tmp_path / "any.keras", "--output", tmp_path / "out", "--bare")
    assert result.exit_code == 0, result.output
    assert [Image.open(tmp_path / "out" / f"{image.name}_cam.png").size for image in images] == [(50, 40), (96, 96)]
    assert "pixels from 0 to 255; --preprocess changes that" in result.output


def test_an_overlay_has_the_proportions_of_its_photograph(tmp_path):
    Image.fromarray(SCENES[0]).resize((2000, 1000)).save(tmp_path / "wide.png")
    Image.fromarray(SCENES[0]).resize((60, 90)).save(tmp_path / "tall.png")
    assert invoke("explain", tmp_path, "--output", tmp_path / "out", "--save-maps", "--bare").exit_code == 0
    sizes = [Image.open(tmp_path / "out" / f"{name}.png_cam.png").size for name in ("wide", "tall")]
    assert sizes == [(1024, 512), (60, 90)]
    # What is hot in the map is hot in the picture.
    heatmap = np.load(tmp_path / "out" / "wide.png_cam.npy")
    row, column = np.unravel_index(heatmap.argmax(), heatmap.shape)
    overlay, plain = (
        np.asarray(picture.convert("RGB").resize((96, 96)), "float32")
        for picture in (
            Image.open(tmp_path / "out" / "wide.png_cam.png"),
            Image.open(tmp_path / "wide.png").convert("L"),
        )
    )
    changed = np.abs(overlay - plain).sum(axis=-1)
    assert changed[row, column] > 5 * changed[heatmap == 0].mean()


def test_an_image_of_sixteen_bits_is_not_cut_off_at_eight(tmp_path, demo_model, monkeypatch):
    monkeypatch.setattr("tfcam.demo.load_model", lambda name: demo_model)
    grey = SCENES[0].mean(axis=-1).astype("uint16")
    Image.fromarray(grey.astype("uint8")).save(tmp_path / "eight.png")
    Image.fromarray(grey * 257).save(tmp_path / "sixteen.png")
    Image.fromarray(grey.astype("float32")).save(tmp_path / "floats.tiff")
    result = invoke("explain", tmp_path, "--output", tmp_path / "out", "--save-maps")
    assert result.exit_code == 1 and "floats.tiff holds floats" in result.output
    assert result.output.replace("\n", "").count("floats.tiff") == 1
    eight, sixteen = (np.load(tmp_path / "out" / f"{name}.png_cam.npy") for name in ("eight", "sixteen"))
    np.testing.assert_array_equal(eight, sixteen)


def test_twelve_bits_in_a_file_of_sixteen_are_said_to_be_dark(tmp_path):
    grey = SCENES[0].mean(axis=-1).astype("uint16")
    for name, factor in (("twelve.png", 16), ("twelve.tiff", 16), ("sixteen.png", 257)):
        Image.fromarray(grey * factor).save(tmp_path / name)
    result = invoke("explain", tmp_path, "--output", tmp_path / "out")
    said = "dark, for its values fill 12 of 16 bits:"
    assert [said in line for line in result.output.splitlines() if ".png_cam" in line or ".tiff_cam" in line] == [
        False,
        True,
        True,
    ]


def test_without_a_network_the_error_says_which_weights_will_do(tmp_path):
    save_scenes(tmp_path, "a.png")
    nowhere = {name: "http://127.0.0.1:9" for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")}
    command = ["explain", tmp_path / "a.png", "--model", "MobileNetV2", "--output", tmp_path / "out"]
    result = subprocess.run(
        [sys.executable, "-m", "tfcam.cli", *map(str, command)],
        capture_output=True,
        text=True,
        env={**os.environ, **nowhere, "KERAS_HOME": str(tmp_path)},
    )
    assert result.returncode == 2
    assert "could not be downloaded" in result.stderr and "Give --weights FILE, or none" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("arguments", [(), ("--batch-size", 1)], ids=["in batches", "one by one"])
def test_the_maps_written_are_those_of_the_explainer(tmp_path, small_demo_model, arguments):
    import tfcam

    save_scenes(tmp_path, "a.png", "b.png", "c.png")
    outcome = invoke("explain", tmp_path, "--output", tmp_path / "out", "--save-maps", "--class", "boat", *arguments)
    assert outcome.exit_code == 0, outcome.output
    expected = tfcam.XGradCAM(small_demo_model).explain(SCENES, 0).numpy()[..., 0]
    for name, of_image in zip("abc", expected, strict=True):
        np.testing.assert_allclose(np.load(tmp_path / "out" / f"{name}.png_cam.npy"), of_image, atol=1e-5)


def test_a_model_of_keras_applications_gets_its_images_as_it_wants_them(tmp_path):
    import tfcam

    save_scenes(tmp_path, "a.png")
    model = keras.applications.MobileNetV2(weights=None)
    model.save_weights(tmp_path / "own.weights.h5")
    arguments = ["--model", "MobileNetV2", "--weights", tmp_path / "own.weights.h5", "--class", 3, "--save-maps"]
    result = invoke("explain", tmp_path / "a.png", "--output", tmp_path / "out", *arguments)
    assert result.exit_code == 0, result.output
    resized = np.asarray(Image.fromarray(SCENES[0]).resize((224, 224), Image.Resampling.BICUBIC), "float32")
    images = keras.applications.mobilenet_v2.preprocess_input(resized[None].copy())
    expected = tfcam.XGradCAM(model).explain(images, 3).numpy()[0, ..., 0]
    assert expected.max() > 0
    np.testing.assert_allclose(np.load(tmp_path / "out" / "a.png_cam.npy"), expected, atol=1e-4 * expected.max())


def test_a_model_file_that_holds_code_is_loaded_only_where_that_is_asked_for(tmp_path):
    save_scenes(tmp_path, "a.png")
    inputs = keras.Input((40, 30, 3))
    x = keras.layers.Conv2D(4, 3, activation="relu")(keras.layers.Lambda(lambda pixels: pixels / 255)(inputs))
    keras.Model(inputs, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(x))).save(tmp_path / "code.keras")
    arguments = ["explain", tmp_path / "a.png", "--model", tmp_path / "code.keras", "--output", tmp_path / "out"]
    assert "add --unsafe" in str(invoke(*arguments).exception)
    assert invoke(*arguments, "--unsafe").exit_code == 0
    assert written(tmp_path / "out") == ["a.png_cam.png"]


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_a_model_file_of_tf_keras_is_explained(tmp_path, ending):
    tf_keras = pytest.importorskip("tf_keras")
    save_scenes(tmp_path, "a.png")
    inputs = tf_keras.Input((40, 30, 3))
    x = tf_keras.layers.Conv2D(4, 3, activation="relu", name="seen")(inputs)
    x = tf_keras.layers.Dense(2)(tf_keras.layers.GlobalAveragePooling2D()(x))
    tf_keras.Model(inputs, x).save(tmp_path / f"old{ending}")
    result = invoke("explain", tmp_path / "a.png", "--model", tmp_path / f"old{ending}", "--output", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "Explaining seen" in result.output


def test_as_many_names_as_classes_are_wanted(tmp_path):
    save_scenes(tmp_path, "a.png")
    (tmp_path / "names.txt").write_text("cat\ndog\n\n")
    result = invoke("explain", tmp_path / "a.png", "--classes", tmp_path / "names.txt", "--output", tmp_path / "out")
    assert "has 2 names; the model's output has 8 classes" in str(result.exception)
    (tmp_path / "names.txt").write_text("a\n\nc\nd\ne\nf\ng\nthe last\n\n")
    arguments = ["--classes", tmp_path / "names.txt", "--output", tmp_path / "out", "--class", "the last"]
    result = invoke("explain", tmp_path / "a.png", *arguments)
    assert "a.png: the last (" in result.output.replace("\n", ""), result.output


def test_the_layers_of_a_model_are_shown_on_one_image(tmp_path, demo_model, monkeypatch):
    monkeypatch.setattr("tfcam.demo.load_model", lambda name: demo_model)
    save_scenes(tmp_path, "a.png")
    arguments = ["layers", "--image", tmp_path / "a.png", "--output", tmp_path / "depths.png"]
    result = invoke(*arguments, "--class", "boat")
    assert result.exit_code == 0, result.output
    assert "a.png: boat" in result.output and "at 7 of 18 layers" in result.output
    wide = np.asarray(Image.open(tmp_path / "depths.png"))
    assert wide.std() > 20
    assert "depths.png exists" in str(invoke(*arguments).exception)
    assert invoke(*arguments, "--most", 2, "--existing", "overwrite").exit_code == 0
    assert np.asarray(Image.open(tmp_path / "depths.png")).shape[0] < wide.shape[0]
    assert "go together" in str(invoke("layers", "--image", tmp_path / "a.png").exception)


@pytest.mark.parametrize(("align", "options"), [("arithmetic", None), ("effective", "effective"), ("3.5,8", (3.5, 8))])
def test_maps_are_aligned_as_in_python(align, options, tmp_path):
    save_scenes(tmp_path, "a.png")
    done = invoke("explain", tmp_path / "a.png", "--output", tmp_path / "out", "--save-maps", "--align", align)
    assert done.exit_code == 0, done.output
    expected = tfcam.XGradCAM(tfcam.demo.load_model()).explain(SCENES[:1], resize="aligned", align=options)[0]
    np.testing.assert_allclose(np.load(next((tmp_path / "out").glob("*.npy"))), expected[..., 0], atol=1e-4)


def test_an_alignment_that_is_none_is_refused(tmp_path):
    save_scenes(tmp_path, "a.png")
    refused = invoke("explain", tmp_path / "a.png", "--output", tmp_path / "out", "--align", "left")
    assert "none of 'arithmetic', 'effective', (offset, jump)" in str(refused.exception)


def test_methods_are_ranked_with_their_cells_aligned(tmp_path):
    scenes = make_scenes(4, seed=8)
    for index, (image, mask) in enumerate(zip(scenes.images, scenes.masks[:, 0], strict=True)):
        for place, pixels in (("images", image), ("masks", mask)):
            (tmp_path / place).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / place / f"{index}.png")
    rows = [f"{index}.png,{label}" for index, label in enumerate(scenes.labels[:, 0])]
    (tmp_path / "labels.csv").write_text("\n".join(["file,class_index", *rows]))
    arguments = [tmp_path / "images", "--labels", tmp_path / "labels.csv", "--masks", tmp_path / "masks"]
    asked = [
        "--method",
        "grad-cam",
        "--metric",
        "energy-pointing-game",
        "--align",
        "20,8",
        "--output",
        tmp_path / "out",
    ]
    done = invoke("evaluate", *arguments, *asked)
    assert done.exit_code == 0, done.output
    [row] = json.loads((tmp_path / "out" / "evaluation.json").read_text())["rows"]
    maps = tfcam.GradCAM(tfcam.demo.load_model()).explain(
        scenes.images, scenes.labels[:, 0], resize="aligned", align=(20, 8)
    )
    expected = tfcam.metrics.EnergyPointingGame(masks=scenes.masks[:, 0]).evaluate(maps)
    np.testing.assert_allclose(row["energy-pointing-game"], expected, atol=1e-4)
