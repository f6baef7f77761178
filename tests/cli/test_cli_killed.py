"""Runs of the command line that are killed, or two at once: nothing is lost, double, stale or half-written."""

import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

pytest.importorskip("typer")
from command_line import EVALUATED, but_for_rounding, invoke, row, written
from PIL import Image

from tfcam.demo import CLASSES, make_scenes

pytestmark = pytest.mark.slow

#: How often a run of 32 images is killed.
KILLS = int(os.environ.get("TFCAM_KILLS", "2"))


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "tfcam.cli", *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def killed(make, has_begun, rng):
    """Start a run, and kill it at a random moment after it has begun."""
    running = make()
    while not has_begun() and running.poll() is None:
        time.sleep(0.05)
    time.sleep(rng.uniform(0, 1.5))
    running.send_signal(signal.SIGKILL)
    running.wait()


@pytest.fixture
def many(tmp_path):
    """Return a folder of 32 images, in a folder for each class."""
    made = make_scenes(32, seed=5)
    for index, (image, label) in enumerate(zip(made.images, made.labels[:, 0], strict=True)):
        folder = tmp_path / "many" / CLASSES[label]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{index}.png")
    return tmp_path / "many"


def change(folder, rng, step):
    """Change an image, rename one, and remove one."""
    one, other, third = rng.sample(sorted(folder.rglob("*.png")), 3)
    Image.fromarray(make_scenes(1, seed=100 + step).images[0]).save(one)
    other.rename(other.with_name(f"renamed-{step}.png"))
    third.unlink()


def test_killed_explanations_lose_nothing_and_leave_nothing_stale(many):
    out, rng = many.parent / "out", random.Random(0)
    arguments = ["explain", many, "--output", out, "--existing", "skip", "--save-maps", "--batch-size", 4]
    for step in range(KILLS):
        before = len(written(out)) if out.exists() else 0
        killed(lambda: start(*arguments), lambda before=before: out.exists() and len(written(out)) > before, rng)
        change(many, rng, step)
    assert invoke(*arguments).exit_code == 0
    whole = many.parent / "whole"
    assert invoke("explain", many, "--output", whole, "--save-maps", "--batch-size", 4).exit_code == 0
    for image in many.rglob("*.png"):
        name = image.relative_to(many)
        maps, expected = (np.load(folder / f"{name}_cam.npy") for folder in (out, whole))
        np.testing.assert_allclose(maps, expected, atol=1e-4)
        one, other = (np.asarray(Image.open(folder / f"{name}_cam.png"), int) for folder in (out, whole))
        assert np.abs(one - other).max() <= 2
    # Of what was being written when it was killed, a hidden part may stay; nothing else does.
    assert {name for name in written(whole)} <= {name for name in written(out)}


def test_killed_evaluations_are_those_of_one_run(many):
    out, rng = many.parent / "out", random.Random(1)
    path = out / "measured.jsonl"

    def lines():
        return path.read_bytes().count(b"\n") if path.exists() else 0

    arguments = ["evaluate", many, *EVALUATED, "--output", out, "--batch-size", 4]
    for step in range(KILLS):
        before = lines()
        killed(lambda: start(*arguments), lambda before=before: lines() > before + 1, rng)
        change(many, rng, step)
    assert invoke(*arguments).exit_code == 0
    found = row(out)
    assert invoke("evaluate", many, *EVALUATED, "--output", out, "--batch-size", 4, "--overwrite").exit_code == 0
    assert found["average-drop images"] == len(list(many.rglob("*.png")))
    assert found == but_for_rounding(row(out), rel=1e-4)


def test_two_explanations_at_once_write_every_overlay_once(many):
    out = many.parent / "out"
    arguments = ["explain", many, "--output", out, "--existing", "skip", "--save-maps", "--batch-size", 4]
    assert [run.wait() for run in [start(*arguments), start(*arguments)]] == [0, 0]
    names = [str(image.relative_to(many)) for image in many.rglob("*.png")]
    assert written(out) == sorted(f"{name}_cam.{ending}" for name in names for ending in ("npy", "png"))
    assert "32 of 32 images have their files already" in invoke(*arguments).output
