"""``tfcam verify``, as a user meets it."""

import re

import keras
import numpy as np
import pytest

pytest.importorskip("typer")
from command_line import invoke
from PIL import Image

from tfcam import list_layers, verify_conservation
from tfcam.demo import load_model, make_scenes


@pytest.fixture
def scene(tmp_path):
    path = tmp_path / "scene.png"
    Image.fromarray(make_scenes(1, seed=8).images[0]).save(path)
    return path


def said(*arguments):
    result = invoke("verify", *arguments)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_terms_are_said_at_a_layer(scene):
    output = said(scene, "--class", 2, "--layer", "relu4")
    told = {
        name.strip(): float(value) for name, value in re.findall(r"^([a-z ]+?) +(-?[0-9.]+)$", output, re.MULTILINE)
    }
    found = verify_conservation(load_model(), np.asarray(Image.open(scene))[None], 2, "relu4")
    assert told["score"] == pytest.approx(found.scores[0], abs=1e-5)
    assert told["gradient times feature"] == pytest.approx(found.features[0], abs=1e-5)
    assert told["bias term"] == pytest.approx(found.bias[0], abs=1e-5)
    assert abs(told["difference"]) < 1e-4
    assert "at relu4" in output


def test_all_layers_stand_in_a_table(scene):
    output = said(scene, "--all-layers")
    for info in list_layers(load_model()):
        assert re.search(rf"│ {info.path} +│", output), info.path
    assert re.search(r"The largest difference is \d\.\de-0[5-9] of the largest term", output)


def test_why_there_is_a_difference_is_said(tmp_path, scene):
    layers = [keras.layers.Conv2D(4, 3), keras.layers.LayerNormalization(), keras.layers.GlobalAveragePooling2D()]
    keras.Sequential([keras.Input((32, 32, 3)), *layers, keras.layers.Dense(3)]).save(tmp_path / "model.keras")
    output = said(scene, "--model", tmp_path / "model.keras", "--layer", 0)
    assert "statistics of each image" in output


def test_a_difference_that_is_rounding_has_no_reason(scene):
    for arguments in ([], ["--class", 2], ["--all-layers"]):
        output = said(scene, *arguments)
        assert re.search(r"difference is \d\.\de-0[5-9] of the largest term", output)
        assert "made of" not in output and "gates" not in output


def test_a_layer_and_all_of_them_exclude_each_other(scene):
    result = invoke("verify", scene, "--layer", "relu4", "--all-layers")
    assert "exclude each other" in str(result.exception)


def test_a_model_whose_public_module_does_not_have_it(scene):
    assert "MobileNetV3Small" in said(scene, "--model", "MobileNetV3Small", "--weights", "none")
