"""A transformer's file on the command line."""

import numpy as np
import pytest

pytest.importorskip("typer")
from command_line import invoke
from PIL import Image

import tfcam
from tfcam.demo import make_scenes


@pytest.fixture
def transformer(demo_transformer, tmp_path):
    path = tmp_path / "vit.keras"
    demo_transformer.save(path)
    return path


@pytest.fixture
def scene(tmp_path):
    path = tmp_path / "scene.png"
    Image.fromarray(make_scenes(1, seed=8).images[0]).save(path)
    return path


def test_a_transformer_is_explained_as_other_models_are(demo_transformer, transformer, scene, tmp_path):
    for options in ([], ["--tokens", "1,12,12"]):
        output = tmp_path / f"maps{len(options)}"
        result = invoke(
            *("explain", scene, "--model", transformer, "--method", "hires-cam", "--output", output, "--save-maps"),
            *options,
        )
        assert result.exit_code == 0, result.output
        assert "Explaining block4_norm1 of tfcam_demo_vit" in result.output
        [saved] = output.glob("*.npy")
        expected = tfcam.HiResCAM(demo_transformer).explain(make_scenes(1, seed=8).images.astype("float32"))
        np.testing.assert_allclose(np.squeeze(np.load(saved)), np.squeeze(expected), atol=1e-4 * np.max(expected))


def test_the_layers_of_a_transformer_have_the_grid_of_its_patches(transformer):
    result = invoke("layers", transformer)
    assert result.exit_code == 0, result.output
    assert "12 x 12" in result.output
    # The class token alone is read behind it.
    assert "Default: block4_norm1, the last activation whose patches the output depends on" in result.output


@pytest.mark.parametrize(
    ("tokens", "message"), [("1,twelve", "must be PREFIX,ROWS,COLUMNS"), ("1,9,9", "are 82 tokens, and no layer of")]
)
def test_tokens_that_do_not_fit_are_refused(transformer, scene, tmp_path, tokens, message):
    result = invoke("explain", scene, "--model", transformer, "--tokens", tokens, "--output", tmp_path / "maps")
    assert result.exit_code != 0
    assert message in str(result.exception)
