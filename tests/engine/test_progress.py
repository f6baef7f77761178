"""Long runs tell how far they are, and end where the user interrupts them, with nothing left behind."""

import _thread
import inspect
import os
import signal
import subprocess
import sys
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf
from oracle import same
from small_models import LABELS

import tfcam
from tfcam.metrics.base import Metric

#: More steps than anybody waits for.
ENDLESS = {"steps": 10**8}


def told(call, *arguments, **options):
    """Return what a call gives, and how many images it said were done meanwhile."""
    done = []
    return call(*arguments, progress=done.append, **options), done


def test_nothing_tells_it_unless_asked():
    owners = [tfcam, tfcam.Explainer, Metric, *tfcam.METHODS.values(), *tfcam.METRICS.values()]
    calls = {f"{owner.__name__}.{name}": getattr(owner, name) for owner in owners for name in dir(owner)}
    taking = {
        name: inspect.signature(call).parameters["progress"].default
        for name, call in calls.items()
        if inspect.isroutine(call)
        and not name.rpartition(".")[2].startswith("_")
        and "progress" in inspect.signature(call).parameters
    }
    assert {"Explainer.explain", "Metric.evaluate", "tfcam.compare", "tfcam.evaluate"} <= set(taking)
    assert set(taking.values()) == {False}


@pytest.mark.parametrize("name", ["score-cam", "recipro-cam", "rise", "opti-cam", "grad-cam", "poly-cam"])
def test_progress_goes_up_to_the_number_of_images(name, model, images):
    explainer = tfcam.get_method(name)(model, batch_size=2)
    maps, done = told(explainer.explain, images, LABELS)
    assert done == sorted(done) and done[-1] == 5 and {2, 4} <= set(done)
    same(maps, explainer.explain(images, LABELS).numpy())


def test_parts_of_an_image_are_told(model, images):
    _, done = told(tfcam.OptiCAM(model, steps=1500).explain, images[:1], 1)
    parts = [share for share in done if 0 < share < 1]
    assert len(parts) > 2


def test_every_call_tells_it(model, images):
    explainer = tfcam.ScoreCAM(model, batch_size=2)
    calls = [
        lambda **options: list(explainer.stream(images, LABELS, **options)),
        lambda **options: explainer.explain_classes(images, [1, 2], **options),
        lambda **options: explainer.explain_top(images, 2, **options),
        lambda **options: explainer.explain(tf.data.Dataset.from_tensor_slices(images), **options),
        lambda **options: tfcam.compare(model, images, 1, ["score-cam", "recipro-cam"], batch_size=2, **options),
    ]
    for call in calls:
        _, done = told(call)
        assert done == sorted(done) and done[-1] == 5


def test_a_bar_is_shown_where_asked(model, images, capsys, monkeypatch):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    explainer = tfcam.ScoreCAM(model)
    explainer.explain(images, 1)
    assert "Explaining" not in capsys.readouterr().out
    explainer.explain(images, 1, progress=True)
    assert "Explaining" in capsys.readouterr().out


def test_an_interrupt_ends_a_run_and_leaves_the_model_as_it_was(model, images):
    before = [type(layer).__call__ for layer in model.layers], model(images).numpy()
    expected = tfcam.GradCAM(model).explain(images, 1).numpy()
    explainer = tfcam.OptiCAM(model, **ENDLESS)
    interrupted = []

    def interrupt(done):
        if done > 0 and not interrupted:
            interrupted.append(done)
            _thread.interrupt_main()

    with pytest.raises(KeyboardInterrupt):
        explainer.explain(images, 1, progress=interrupt)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("tfcam")]
    assert [type(layer).__call__ for layer in model.layers] == before[0]
    np.testing.assert_array_equal(model(images), before[1])
    same(tfcam.GradCAM(model).explain(images, 1), expected)


def test_an_explainer_that_was_interrupted_explains_again(model, images):
    explainer = tfcam.OptiCAM(model, steps=2000)

    def interrupt(done):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        explainer.explain(images[:1], 1, progress=interrupt)
    traces = explainer.trace_count
    maps, done = told(explainer.explain, images[:1], 1)
    assert np.isfinite(maps).all() and done[-1] == 1 and explainer.trace_count == traces


def test_several_explain_at_once_in_threads(model, images):
    explainer = tfcam.ScoreCAM(model)
    expected, found = explainer.explain(images, 1).numpy(), []
    threads = [threading.Thread(target=lambda: found.append(explainer.explain(images, 1))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    for maps in found:
        same(maps, expected)


def test_an_error_in_the_middle_is_told_as_it_is(images):
    class Failing(keras.layers.Layer):
        def call(self, x):
            return keras.ops.reshape(x, (-1, 5))

    model = keras.Sequential(
        [keras.Input((None, None, 3)), keras.layers.Conv2D(4, 3), Failing(), keras.layers.Dense(2)]
    )
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
        tfcam.OptiCAM(model).explain(images, 1)


def test_the_command_line_says_that_it_was_interrupted(tmp_path):
    image = tmp_path / "image.png"
    keras.utils.save_img(image, np.random.default_rng(0).uniform(0, 255, (96, 96, 3)))
    command = [
        sys.executable,
        "-m",
        "tfcam.cli",
        "explain",
        str(image),
        "--method",
        "ss-cam",
        "--output",
        str(tmp_path),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert "Explaining" in process.stdout.readline()
        os.kill(process.pid, signal.SIGINT)
        said, errors = process.communicate()
    assert process.returncode == 130, errors
    assert "Traceback" not in said + errors
    assert "Interrupted: 0 of 1 images are done." in errors
