"""The pages that say how to add something are followed to the letter, in a copy of the project."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow
NAMES = [f"tests/test_{name}.py" for name in ("architecture", "names", "registry")]
STEP = re.compile(
    r"^(?P<what>Write|Append to|In) `(?P<file>[^`]+)`(?:, after `(?P<after>[^`]+)`)?:\n\n```python\n(?P<code>.*?)^```",
    re.DOTALL | re.MULTILINE,
)


#: What follows from a method: its places in the registry and the command line, its page and its picture.
METHOD = """
import runpy, sys; sys.path.insert(0, "docs")
runpy.run_path("docs/generate.py", run_name="__main__")
import method_pages, pictures, tfcam
from tfcam import cli
print(tfcam.__file__, tfcam.PeakGradCAM.name, tfcam.list_methods())
cli.app(["methods"], standalone_mode=False)
print(method_pages.method_page(tfcam.PeakGradCAM))
drawn = pictures.of_methods([tfcam.PeakGradCAM]).values()
assert len(drawn) == 2 and all(one.startswith(b"\\x89PNG") for one in drawn); print("ends with a picture")
"""
METRIC = """
import runpy, sys; sys.path.insert(0, "docs")
runpy.run_path("docs/generate.py", run_name="__main__")
import metric_pages, tfcam
from tfcam import cli
print(tfcam.list_metrics())
cli.app(["metrics"], standalone_mode=False)
print(metric_pages.page(tfcam.metrics.TopTenth))
"""


@pytest.fixture
def project(tmp_path):
    """Return a copy of what a contributor has."""
    ignored = shutil.ignore_patterns("__pycache__", "output")
    for folder in ("tfcam", "tests", "docs", "benchmarks"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    for file in ("README.md", "CONTRIBUTING.md", "pyproject.toml", "setup.cfg"):
        shutil.copy(ROOT / file, tmp_path / file)
    return tmp_path


def follow(page, project):
    """Do what a page says with files; return the number of steps."""
    steps = list(STEP.finditer((ROOT / "docs" / page).read_text(encoding="utf-8")))
    for step in steps:
        file = project / step["file"]
        if step["what"] == "Write":
            assert not file.exists()
            file.write_text(step["code"], encoding="utf-8")
            continue
        text = file.read_text(encoding="utf-8")
        if step["what"] == "Append to":
            text += "\n\n" + step["code"]
        else:
            assert text.count(step["after"] + "\n") == 1
            text = text.replace(step["after"] + "\n", step["after"] + "\n" + step["code"])
        file.write_text(text, encoding="utf-8")
    return len(steps)


def run(project, *command):
    environment = os.environ | {"PYTHONPATH": str(project), "COLUMNS": "200", "TFCAM_ASSETS": ""}
    done = subprocess.run(
        [sys.executable, *command], cwd=project, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_a_method_is_added_as_its_page_says(project):
    assert follow("add_a_method.md", project) == 2
    listed, _, page = run(project, "-c", METHOD).partition("# Peak-Grad-CAM\n")
    assert "| `peak-grad-cam` | `PeakGradCAM` |" in (project / "README.md").read_text(encoding="utf-8")
    assert listed.startswith(f"{project / 'tfcam/__init__.py'} peak-grad-cam") and "name='peak-grad-cam'" in listed
    assert listed.count("peak-grad-cam") == 3
    assert "$$\nw_k = \\max_{ij}" in page and page.endswith("ends with a picture\n")
    assert "## When not to use it\n\nA single place" in page and "tfcam.PeakGradCAM(model)" in page
    files = [*(f"tests/methods/test_{name}.py" for name in ("properties", "formulas")), *NAMES]
    # Those of the methods that were there before would be the same once more.
    new = "peak or registry or architecture or every_method_has_its_loops or methods_can_be_listed"
    said = run(project, "-m", "pytest", "-p", "no:cacheprovider", *files, "-k", new, "-vv")
    for test in (
        "test_a_map_does_not_depend_on_its_batch_mates[peak-grad-cam]",
        "test_a_formula_equals_its_loops[peak-grad-cam-",
    ):
        assert test in said


def test_an_operator_is_added_as_its_page_says(project):
    assert follow("add_an_operator.md", project) == 3
    said = run(
        project, "-m", "pytest", "-p", "no:cacheprovider", "tests/methods/test_properties.py", "-k", "margin", "-vv"
    )
    assert "test_the_targets_of_an_operator_go_through_a_dataset[margin]" in said
    closed_form = """
import keras, numpy as np, tfcam
inputs = keras.Input((8, 6, 3))
conv, dense = keras.layers.Conv2D(4, 3, activation="relu"), keras.layers.Dense(3)
model = keras.Model(inputs, keras.layers.Softmax()(dense(keras.layers.GlobalAveragePooling2D()(conv(inputs)))))
x = np.random.default_rng(0).uniform(-1, 1, (2, 8, 6, 3)).astype("float32")
logits, kernel = (model(x).numpy(), dense.kernel.numpy())
order = np.argsort(-logits, axis=-1)
weights = (kernel[:, order[:, 0]] - kernel[:, order[:, 1]]).T / 24
expected = np.maximum((conv(x).numpy() * weights[:, None, None]).sum(-1), 0)
maps = tfcam.GradCAM(model, operator=tfcam.Tasks.MARGIN).explain(x, resize=False).numpy()[..., 0]
assert expected.max() > 0 and abs(maps - expected).max() < 1e-6
try:
    tfcam.GradCAM(model, operator="margin").explain(x, 3)
except ValueError as error:
    print(error)
"""
    assert "targets must be classes from 0 to 2" in run(project, "-c", closed_form)


@pytest.mark.parametrize("page", ["add_a_method.md", "add_an_operator.md", "add_a_metric.md"])
def test_what_a_page_writes_passes_the_lint(project, page):
    pytest.importorskip("ruff")
    follow(page, project)
    run(project, "-m", "ruff", "check", "tfcam", "tests")
    run(project, "-m", "ruff", "format", "--check", "tfcam", "tests")


def test_a_metric_is_added_as_its_page_says(project):
    assert follow("add_a_metric.md", project) == 2
    listed, _, page = run(project, "-c", METRIC).partition("# Top Tenth\n")
    assert "top_tenth import TopTenth" in (project / "tfcam/metrics/__init__.pyi").read_text(encoding="utf-8")
    assert "name='top-tenth'" in listed and listed.count("top-tenth") == 2
    assert "tfcam.metrics.TopTenth(model, images" in page
    files = [*(f"tests/metrics/test_{name}.py" for name in ("metrics", "metrics_models")), *NAMES]
    said = run(project, "-m", "pytest", "-p", "no:cacheprovider", *files, "-k", "tenth or row", "-vv")
    for test in (
        "test_a_metric_is_its_formula[top-tenth-",
        "test_a_metric_does_not_depend_on_the_batches[top-tenth]",
        "test_every_metric_takes_every_kind_of_model[nested-top-tenth]",
    ):
        assert test in said
