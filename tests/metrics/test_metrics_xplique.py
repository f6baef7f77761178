"""Xplique's figures, where its definitions are ours; benchmarks/xplique_metrics.py made them."""

import json

import pytest
from xplique_metrics import FILE, maps, scenes

import tfcam

FIGURES = json.loads(FILE.read_text(encoding="utf-8"))["values"]
OPTIONS = {
    "deletion": {"percent": 10},
    "insertion": {"percent": 10, "baseline": 0},
    "mu-fidelity": {"correlation": "spearman", "sampling": "bernoulli"},
    "average-drop": {"mask": "absolute"},
    "average-increase": {"mask": "absolute"},
    "average-gain": {"mask": "absolute"},
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_metric_says_what_xplique_says(name, demo_model):
    got = tfcam.get_metric(name)(demo_model, *scenes(), **OPTIONS[name]).evaluate(maps())
    assert got == pytest.approx(FIGURES[name], rel=2e-4, abs=1e-5)
