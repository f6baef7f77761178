"""The pictures of ``tfcam explain``, as people see them."""

import keras
import numpy as np
import pytest

pytest.importorskip("typer")
from command_line import invoke
from PIL import Image

import tfcam
from tfcam.demo import CLASSES, make_scenes

pytestmark = pytest.mark.usefixtures("small_demo_model")

SCENE = make_scenes(1, seed=8).images[0]


@pytest.fixture
def photo(tmp_path):
    Image.fromarray(SCENE).save(tmp_path / "scene.png")
    return tmp_path / "scene.png"


def explain(photo, *arguments):
    out = photo.parent / "out"
    command = ["explain", photo, "--output", out, "--existing", "overwrite", *arguments]
    result = invoke(*command)
    return result, out / "scene.png_cam.png"


def picture_of(photo, *arguments):
    result, path = explain(photo, *arguments)
    assert result.exit_code == 0, result.output
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def panels_of(picture):
    """Return the parts of a picture that stand in one row, between columns of white paper."""
    below_the_titles = picture[60:380]
    is_paper = (below_the_titles == 255).all(axis=(0, 2))
    edges = np.flatnonzero(np.diff(is_paper.astype(int)))
    starts, ends = edges[::2] + 1, edges[1::2] + 1
    return [below_the_titles[:, start:end] for start, end in zip(starts, ends, strict=False) if end - start > 100]


def test_a_picture_has_the_photograph_and_the_map_over_it(photo):
    picture = picture_of(photo)
    photograph, overlay = panels_of(picture)
    enlarged = np.asarray(Image.fromarray(SCENE).resize((320, 320), Image.Resampling.BICUBIC)).astype(int)
    assert photograph.shape[1] == 320
    assert np.abs(photograph[1:-4] - enlarged[2:-3][: photograph.shape[0] - 5]).mean() < 40
    assert np.abs(overlay - photograph).mean() > 5
    # The words above: dark letters on white paper over each of both.
    for left in (16, 352):
        assert (picture[:40, left : left + 300] < 100).all(axis=-1).sum() > 50
    # The bar at the right has the colours of the map, from its lowest to its highest.
    bar = picture[61:381, 688 + 7]
    colours = np.round(255 * tfcam.plotting.pixels.Scale("turbo", 1.0, False).colours(np.array([1.0, 0.0])))
    np.testing.assert_allclose(bar[[0, -1]], colours, atol=2)


def test_the_likeliest_classes_stand_side_by_side(photo):
    result, path = explain(photo, "--top", 3, "--save-maps")
    scores = np.asarray(tfcam.demo.load_model()(SCENE[None].astype("float32")))[0]
    scores = scores if np.isclose(scores.sum(), 1) else np.exp(scores) / np.exp(scores).sum()
    said = ", ".join(f"{CLASSES[one]} (" for one in scores.argsort()[::-1][:3])
    assert [name in result.output for name in said.split(", ")] == [True] * 3
    assert len(panels_of(np.asarray(Image.open(path)).astype(int))) == 4
    maps, _ = tfcam.XGradCAM(tfcam.demo.load_model()).explain_top(SCENE[None].astype("float32"), 3)
    np.testing.assert_allclose(np.load(path.with_suffix(".npy")), maps[0, ..., 0], atol=1e-4)


def test_methods_stand_side_by_side(photo):
    picture = picture_of(photo, "--compare", "grad-cam", "--compare", "eigen-cam", "--compare", "xgrad-cam")
    assert len(panels_of(picture)) == 4
    _, path = explain(photo, "--compare", "eigen-cam", "--save-maps")
    maps = tfcam.XGradCAM(tfcam.demo.load_model()).explain(SCENE[None].astype("float32"))
    np.testing.assert_allclose(np.load(path.with_suffix(".npy")), maps[0, ..., 0], atol=1e-4)


def test_a_bare_picture_is_the_overlay_alone(photo):
    picture = picture_of(photo, "--bare")
    heatmap = tfcam.XGradCAM(tfcam.demo.load_model()).explain(SCENE[None].astype("float32"))[0]
    expected = tfcam.blend(SCENE, heatmap, 0.6, "turbo", grey=True).astype(int)
    assert picture.shape == SCENE.shape and np.abs(picture - expected).max() <= 2


def test_colours_and_opacity_are_those_asked_for(photo):
    heatmap = tfcam.XGradCAM(tfcam.demo.load_model()).explain(SCENE[None].astype("float32"))[0]
    picture = picture_of(photo, "--bare", "--cmap", "viridis", "--alpha", 1.0)
    expected = tfcam.blend(SCENE, heatmap, 1.0, "viridis", grey=True).astype(int)
    assert np.abs(picture - expected).max() <= 2
    assert np.abs(picture_of(photo, "--bare", "--alpha", 0.0) - SCENE.mean(axis=-1, keepdims=True)).mean() < 12


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cmap", "rainbowy"], "is no colour map of matplotlib, such as turbo"),
        (["--top", "3", "--class", "1"], "leave off --class and --compare"),
        (["--top", "3", "--compare", "grad-cam"], "leave off --class and --compare"),
        (["--bare", "--top", "3"], "leave off --top and --compare"),
        (["--compare", "gradkam"], "is no method. Did you mean 'grad-cam'"),
        (["--top", "99"], "k=99 is out of range"),
    ],
)
def test_options_that_do_not_go_together_are_refused(arguments, message, photo):
    result, _ = explain(photo, *arguments)
    assert message in str(result.exception)


@pytest.mark.parametrize("size", [(900, 30), (30, 900), (1, 1), (2000, 1500)])
def test_photographs_of_any_proportions_are_drawn(size, tmp_path):
    Image.fromarray(SCENE).resize(size).save(tmp_path / "scene.png")
    picture = picture_of(tmp_path / "scene.png")
    assert picture.shape[0] < 800 and picture.shape[1] < 1500 and picture.std() > 5


def test_long_names_and_letters_of_other_languages_fit(tmp_path):
    names = "\n".join(["Übergrößenträger für Wände, Ärmel und Öfen, étagères à la carte, łódź", *"bcdefgh"])
    (tmp_path / "names.txt").write_text(names, encoding="utf-8")
    Image.fromarray(SCENE).save(tmp_path / "scene.png")
    picture = picture_of(tmp_path / "scene.png", "--classes", tmp_path / "names.txt", "--class", 0)
    between = picture[:40, 336:352]
    assert (between == 255).all()


def test_maps_stand_out_on_each_of_a_hundred_photographs(assets):
    """Where a map is hot, its colours are far, in CIELAB, from those of all that is cold."""
    from matplotlib import colormaps

    from tfcam.cli.panels import Look

    heatmap = np.clip(1.2 - np.hypot(*np.mgrid[-1:1:112j, -1:1:112j]) * 1.6, 0, 1)
    for path in sorted((assets / "images").glob("*.jpg")):
        image = np.asarray(Image.open(path).convert("RGB").resize((112, 112)))
        lab = to_lab(tfcam.blend(image, heatmap, Look.alpha, Look.cmap, grey=True) / 255)
        hot, cold = lab[heatmap > 0.5], lab[heatmap < 0.05]
        nearest = np.sqrt(((hot[::40, None] - cold[None, ::7]) ** 2).sum(-1)).min(axis=1)
        assert nearest.mean() > 25, path.name
    assert Look.cmap in colormaps


def to_lab(rgb):
    linear = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    matrix = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = linear @ matrix.T / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)


def test_an_explanation_by_a_model_of_one_unit_has_its_two_classes(tmp_path):
    layers = keras.layers
    model = [keras.Input((40, 30, 3)), layers.Conv2D(4, 3, activation="relu"), layers.GlobalAveragePooling2D()]
    keras.Sequential([*model, layers.Dense(1, activation="sigmoid")]).save(tmp_path / "binary.keras")
    Image.fromarray(SCENE).save(tmp_path / "scene.png")
    result, _ = explain(tmp_path / "scene.png", "--model", tmp_path / "binary.keras", "--top", 2)
    assert result.exit_code == 0 and "class 0" in result.output and "class 1" in result.output


@pytest.mark.parametrize("name", ["scene.gif", "scene.tiff"])
def test_an_explanation_is_said_to_be_of_the_first_of_several_images_in_a_file(name, tmp_path):
    pages = [Image.fromarray(one) for one in make_scenes(3, seed=8).images]
    pages[0].save(tmp_path / name, save_all=True, append_images=pages[1:])
    command = ["explain", str(tmp_path / name), "--output", str(tmp_path / "out")]
    result = invoke(*command)
    assert result.exit_code == 0 and f"{name}, the first of 3 images in the file:" in result.output


def test_other_commands_say_it_too(tmp_path):
    name = "scene.tiff"
    pages = [Image.fromarray(one) for one in make_scenes(2, seed=8).images]
    pages[0].save(tmp_path / name, save_all=True, append_images=pages[1:])
    labels = tmp_path / "labels.csv"
    labels.write_text(f"file,class\n{name},butterfly\n")
    for command in (
        f"verify {tmp_path / name}",
        f"layers --image {tmp_path / name} --output {tmp_path / 'depths.png'}",
        f"evaluate {tmp_path} --labels {labels} --output {tmp_path} --method grad-cam --metric average-drop",
    ):
        result = invoke(*command.split())
        assert result.exit_code == 0 and f"{name}, the first of 2 images in the file" in result.output, result.output


def test_nothing_done_has_a_status_of_its_own(photo):
    missing = photo.with_name("missing.png")
    out = photo.parent / "out"
    for images, status in (([missing], 2), ([missing, photo], 1), ([photo], 0)):
        command = ["explain", *map(str, images), "--output", str(out), "--existing", "overwrite"]
        assert invoke(*command).exit_code == status


def test_a_number_that_is_no_decimal_is_a_name(photo):
    result, _ = explain(photo, "--class", "²")
    assert "'²' is none of the model's classes" in str(result.exception)
