"""What the tests of the command line share: scenes in folders, commands, and what they wrote."""

import json

import pytest

pytest.importorskip("typer")
from PIL import Image
from typer.testing import CliRunner

from tfcam import cli
from tfcam.demo import make_scenes

SCENES = make_scenes(3, seed=8).images
#: What the tests of evaluate's journal measure.
EVALUATED = ["--method", "grad-cam", "--metric", "average-drop"]


def save_scenes(folder, *names):
    for name, image in zip(names, SCENES, strict=False):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / name)


def invoke(*arguments, **options):
    """Run a command in this process, on a terminal that is wide enough for any table."""
    return CliRunner().invoke(cli.app, list(map(str, arguments)), env={"COLUMNS": "400"}, **options)


def written(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def row(folder):
    """Return the one row of evaluate's table, without what the clock says."""
    [found] = json.loads((folder / "evaluation.json").read_text())["rows"]
    return {key: value for key, value in found.items() if "seconds" not in key}


def but_for_rounding(expected, rel=1e-5):
    """Return a row to compare with, whose numbers may differ as those of another size of batch do."""
    return {
        key: pytest.approx(value, rel=rel) if isinstance(value, float) else value for key, value in expected.items()
    }
