"""A model that the processor cannot run: one line says so, and what helps."""

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


def run(program, setting):
    shape, body, call = program
    code = PROGRAM.format(shape=shape, body=body, call=call)
    environment = os.environ | {"TF_ENABLE_ONEDNN_OPTS": setting, "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", REFUSED)
def test_a_model_that_the_processor_cannot_run_is_told_what_helps(name):
    last = run(REFUSED[name], "0").stderr.strip().splitlines()[-1]
    assert last.startswith("ValueError: Model ") and "cannot run here" in last
    assert "TF_ENABLE_ONEDNN_OPTS=1 before TensorFlow is imported" in last and "channels_last" in last


@pytest.mark.parametrize("name", RUNNING)
def test_a_model_that_the_processor_can_run_is_not_refused(name):
    done = run(RUNNING[name], "0")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["convolution", "not built"])
def test_the_remedy_helps(name):
    done = run(REFUSED[name], "1")
    assert done.returncode == 0, done.stderr
