"""A model that the processor cannot run: one line says so, and what helps."""

import json
import os
import subprocess
import sys

import pytest

PROGRAM = """
import keras, numpy as np, tfcam
L = keras.layers
first = {{"data_format": "channels_first"}}
inputs = keras.Input({shape})
{body}
{call}
"""
IMAGES = "np.ones((2, 3, 8, 8), 'float32')"
CONVOLUTION = "x = L.Conv2D(4, 3, **first)(inputs); model = keras.Model(inputs, L.Dense(2)(L.Flatten()(x)))"
#: Models and calls: constructors, unbuilt models, metrics, the effective fields.
REFUSED = {
    "convolution": ("(3, 8, 8)", CONVOLUTION, "tfcam.GradCAM(model)"),
    "1 x 1": ("(3, 8, 8)", CONVOLUTION.replace("4, 3", "4, 1"), "tfcam.FullGrad(model)"),
    "any size": (
        "(3, None, None)",
        CONVOLUTION.replace("Flatten()", "GlobalMaxPooling2D(**first)"),
        "tfcam.GradCAM(model)",
    ),
    "nested": ("(3, 8, 8)", f"{CONVOLUTION}; model = keras.Sequential([inputs, model])", "tfcam.XGradCAM(model)"),
    "metric": ("(3, 8, 8)", CONVOLUTION, f"tfcam.metrics.Deletion(model, {IMAGES}, [0, 1])"),
    "not built": (
        "(3, 8, 8)",
        "model = keras.Sequential([L.Conv2D(4, 3, **first), L.Flatten(), L.Dense(2)])",
        f"tfcam.GradCAM(model).explain({IMAGES}, 0)",
    ),
}
#: What Keras computes another way, so that it runs everywhere.
RUNNING = {
    "depthwise": ("(3, 8, 8)", CONVOLUTION.replace("Conv2D(4, ", "DepthwiseConv2D("), "tfcam.XGradCAM(model)"),
    "pooling": (
        "(3, 8, 8)",
        "x = L.Permute((3, 1, 2))(L.Conv2D(4, 3)(L.Permute((2, 3, 1))(inputs)));"
        "model = keras.Model(inputs, L.Dense(2)(L.Flatten()(L.MaxPooling2D(**first)(x))))",
        f"tfcam.GradCAM(model).explain({IMAGES}, 0)",
    ),
}


#: Runs programs in their order, and prints what each raised.
RUNNER = """
import json, sys
for program in json.load(sys.stdin):
    try:
        exec(program, {})
    except Exception as error:
        print(json.dumps(f"{type(error).__name__}: {error}"))
    else:
        print("null")
"""


def errors(programs, setting):
    """Return what each program raises, or None, in a process where oneDNN is on or off."""
    codes = [PROGRAM.format(shape=shape, body=body, call=call) for shape, body, call in programs.values()]
    environment = os.environ | {"TF_ENABLE_ONEDNN_OPTS": setting, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", RUNNER],
        env=environment,
        input=json.dumps(codes),
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(zip(programs, map(json.loads, done.stdout.splitlines()), strict=True))


@pytest.fixture(scope="module")
def without():
    return errors(REFUSED | RUNNING, "0")


@pytest.mark.parametrize("name", REFUSED)
def test_a_model_that_the_processor_cannot_run_is_told_what_helps(name, without):
    assert without[name].startswith("ValueError: Model ") and "cannot run here" in without[name]
    assert "TF_ENABLE_ONEDNN_OPTS=1 before TensorFlow is imported" in without[name]
    assert "channels_last" in without[name] and "\n" not in without[name]


@pytest.mark.parametrize("name", RUNNING)
def test_a_model_that_the_processor_can_run_is_not_refused(name, without):
    assert without[name] is None


def test_the_remedy_helps():
    assert set(errors(REFUSED, "1").values()) == {None}
