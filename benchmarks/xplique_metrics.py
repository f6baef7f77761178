"""What Xplique's metrics say of maps of the embedded model, for tests/metrics/test_metrics_xplique.py to compare with.

``python benchmarks/xplique_metrics.py --write`` in the peers' environment writes tests/metrics/xplique_metrics.json.
Xplique draws MuFidelity's subsets without a seed, so here it is given those of tfcam.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from tfcam.demo import load_model, make_scenes

FILE = Path(__file__).parents[1] / "tests/metrics/xplique_metrics.json"
COUNT, SAMPLES, CELLS = 8, 200, 9


def scenes() -> tuple[np.ndarray, np.ndarray]:
    """Return images and labels."""
    images, labels, _ = make_scenes(COUNT, objects=2, seed=5)
    return images.astype("float32"), labels[:, 0]


def maps() -> np.ndarray:
    """Return smooth maps ``(8, 96, 96)`` with a sign, no two values of which are alike."""
    coarse = np.random.default_rng(0).normal(size=(COUNT, 6, 6))
    places = np.linspace(0, 5, 96)
    weights = np.maximum(0, 1 - np.abs(places[:, None] - np.arange(6)))
    return np.einsum("ia,nab,jb->nij", weights, coarse, weights).astype("float32")


def given_subsets(inputs: Any, share: float) -> tuple[Any, Any]:
    """Return an image without each of tfcam's subsets, and what is left, in the place of subsets of Xplique's."""
    drawn = np.random.default_rng(0).random((SAMPLES, CELLS**2)) < share
    kept = tf.reshape(1.0 - tf.cast(drawn, tf.float32), (SAMPLES, CELLS, CELLS, 1))
    kept = tf.image.resize(kept, inputs.shape[1:-1], method="nearest")[None]
    return tf.reshape(inputs[:, None] * kept, (-1, *inputs.shape[1:])), kept


def values() -> dict[str, float]:
    """Return the value of each metric by its name here."""
    from xplique.metrics import fidelity

    class GivenSubsets(fidelity.MuFidelity):
        def _perturb_samples(self, inputs: Any, nb_perturbations: int) -> tuple[Any, Any]:
            return given_subsets(inputs, self.subset_percent)

    images, labels = scenes()
    arguments, of = (load_model(), images, np.eye(8, dtype="float32")[labels]), maps()
    return {
        "deletion": float(fidelity.Deletion(*arguments).evaluate(of)),
        "insertion": float(fidelity.Insertion(*arguments).evaluate(of)),
        "mu-fidelity": GivenSubsets(*arguments, batch_size=SAMPLES, grid_size=CELLS, nb_samples=SAMPLES).evaluate(of),
        "average-drop": 100 * float(fidelity.AverageDropMetric(*arguments).evaluate(of)),
        "average-increase": 100 * float(fidelity.AverageIncreaseMetric(*arguments).evaluate(of)),
        "average-gain": 100 * float(fidelity.AverageGainMetric(*arguments).evaluate(of)),
    }


def main() -> None:
    """Print the values, and write them where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    write = parser.parse_args().write
    import xplique

    made = f"python benchmarks/xplique_metrics.py --write, Xplique {xplique.__version__}, TensorFlow {tf.__version__}"
    text = json.dumps({"made by": made, "values": values()}, indent=1) + "\n"
    print(text)
    if write:
        FILE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
