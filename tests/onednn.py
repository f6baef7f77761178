"""Tests that need oneDNN, in a process of their own where this one has it off.

Without oneDNN, TensorFlow has no channels-first convolution on the CPU. It is off by default on processors without
AVX-512, and wherever ``TF_ENABLE_ONEDNN_OPTS=0``.
"""

import fcntl
import functools
import json
import os
import subprocess
import sys

import pytest
import tensorflow as tf

#: Where a process that runs these tests for another one writes their outcomes.
OUTCOMES = "TFCAM_TEST_OUTCOMES"


@functools.cache
def is_on():
    """Return whether this process convolves channels first."""
    try:
        tf.nn.conv2d(tf.ones([1, 1, 1, 1]), tf.ones([1, 1, 1, 1]), 1, "SAME", data_format="NCHW")
    except tf.errors.UnimplementedError:
        return False
    return True


def run_elsewhere(item):
    """Fail with what the process with oneDNN says of a test, if it failed there."""
    outcome = _outcomes(item).get(item.nodeid)
    if outcome is None:
        pytest.fail("The process with oneDNN did not run this test.", pytrace=False)
    if outcome["outcome"] == "skipped":
        pytest.skip(outcome["text"])
    if outcome["outcome"] != "passed":
        pytest.fail(f"With TF_ENABLE_ONEDNN_OPTS=1:\n{outcome['text']}", pytrace=False)


def write_outcome(report):
    """Add the outcome of one phase of a test to the file that the other process reads."""
    path = os.environ.get(OUTCOMES)
    if path and (report.when == "call" or not report.passed):
        line = {"test": report.nodeid, "outcome": report.outcome, "text": report.longreprtext}
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def _outcomes(item):
    """Return the outcomes of all such tests of this session: the first worker that needs them runs them."""
    base = item._request.getfixturevalue("tmp_path_factory").getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    path = shared / "onednn.jsonl"
    with (shared / "onednn.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            path.touch()
            _run([one.nodeid for one in item.session.items if one.get_closest_marker("onednn")], path, item.config)
    lines = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    # A test whose teardown fails has two lines, the last of which counts.
    return {line["test"]: line for line in lines}


def _run(nodes, path, config):
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:xdist", "-p", "no:cacheprovider", *nodes],
        cwd=config.rootpath,
        env=own | {"TF_ENABLE_ONEDNN_OPTS": "1", OUTCOMES: str(path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
