"""Which kinds of Keras model tfcam, Xplique and tf-keras-vis explain, of the table tests/kinds_of_model.py.

Each is given the same targets, and the explained layer by its name; the peers, should that fail, no layer, so that they
choose their own. A map counts where it is Grad-CAM of that layer as plain functions give it, of the logits or of the
probabilities, up to a factor.

    make kinds
"""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import keras
import numpy as np
import tensorflow as tf
from kinds_of_model import ROWS, targets_of
from oracle import activations_and_gradients, grad_cam
from pages import publish_named

import tfcam

#: What two maps of one batch must correlate by to be the same.
SAME = 0.999


def by_tfcam(row: Any, targets: Any, weights: np.ndarray, layer: str | None) -> np.ndarray:
    """Return tfcam's raw maps ``(N, *grid)``."""
    return tfcam.GradCAM(row.model, **row.options).explain(row.inputs, targets, resize=False).numpy()[..., 0]


def explained_output(row: Any, outputs: Any) -> Any:
    """Return the one of several outputs that has a unit for each target; of none such, the first."""
    each, units = tf.nest.flatten(outputs), np.shape(targets_of(row)[1])[-1]
    return next((output for output in each if output.shape[-1] == units), each[0])


def by_xplique(row: Any, targets: Any, weights: np.ndarray, layer: str | None) -> np.ndarray:
    """Return Xplique's maps ``(N, H, W)``, of the input's size."""
    from xplique.attributions import GradCAM

    explainer = GradCAM(row.model, output_layer=row.options.get("output_layer"), conv_layer=layer)
    grid = explained_output(row, row.model.outputs).shape[1:-1]
    if len(grid) and None not in grid:
        # Its score is the sum of outputs times targets: the mean over a grid, with targets of that shape.
        pixels = np.full(grid, 1 / np.prod(grid)) if row.region is None else row.region
        weights = np.einsum("nc,hw->nhwc", weights, pixels).astype("float32")
    return np.asarray(explainer(row.inputs, weights))[..., 0]


def by_tf_keras_vis(row: Any, targets: Any, weights: np.ndarray, layer: str | None) -> np.ndarray:
    """Return the raw maps ``(N, *grid)`` of tf-keras-vis."""
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.utils.scores import InactiveScore

    def score(output: tf.Tensor) -> tuple[tf.Tensor, ...]:
        output = tf.cast(output, tf.float32)
        if row.region is None:
            means = tf.reduce_mean(output, axis=list(range(1, len(output.shape) - 1)))
        else:
            means = tf.einsum("nhwc,hw->nc", output, row.region)
        return tuple(tf.unstack(tf.reduce_sum(means * weights, axis=-1)))

    outputs = tf.nest.flatten(row.model.outputs)
    scores = [score if output is explained_output(row, outputs) else InactiveScore() for output in outputs]
    inputs = tf.nest.flatten(row.inputs)
    return np.asarray(
        Gradcam(row.model)(
            scores if len(scores) > 1 else score,
            inputs if len(inputs) > 1 else inputs[0],
            penultimate_layer=layer,
            seek_penultimate_conv_layer=layer is None,
            expand_cam=False,
            normalize_cam=False,
        )
    )


PEERS: dict[str, Callable[[Any, Any, np.ndarray, str | None], np.ndarray]] = {
    "tfcam": by_tfcam,
    "Xplique": by_xplique,
    "tf-keras-vis": by_tf_keras_vis,
}


def named(row: Any) -> str:
    """Return the name of the explained layer, without its path, as the peers want it."""
    explainer = tfcam.GradCAM(row.model, **row.options)
    if explainer.conv_layer is None:
        explainer.explain(row.inputs)
    return str(explainer.conv_layer).rsplit("/", 1)[-1].partition("@")[0]


def expected_maps(row: Any, weights: np.ndarray) -> list[np.ndarray]:
    """Return Grad-CAM of the logits, and of the probabilities that they may stand for, ``(N, *grid)`` each."""
    activations = [lambda x: x, tf.nn.softmax, tf.nn.sigmoid]
    return [
        grad_cam(*activations_and_gradients(row.body, lambda a, f=f: f(row.head(a)), row.images, weights))
        for f in activations
    ]


def with_a_map(kind: str) -> tuple[Any, list[np.ndarray]]:
    """Return a kind of model with the first weights whose maps are not empty, and its maps."""
    for seed in range(3, 13):
        keras.backend.clear_session()
        keras.utils.set_random_seed(seed)
        keras.config.set_dtype_policy("float32")
        row = ROWS[kind]()
        expected = expected_maps(row, np.asarray(targets_of(row)[1]))
        if expected[0].any():
            return row, expected
    raise ValueError(f"{kind}: the maps of ten models are all empty.")


def correlation(maps: np.ndarray, expected: np.ndarray) -> float:
    """Return the correlation of maps with the expected ones, which are resized where that is needed."""
    if maps.shape != expected.shape and maps.ndim == 3:
        expected = tf.image.resize(expected[..., None], maps.shape[1:], "bicubic").numpy()[..., 0]
    if maps.shape != expected.shape:
        return 0.0
    return float(np.corrcoef(maps.ravel(), expected.ravel())[0, 1])


def verdict(kind: str, peer: str) -> str:
    """Return what a peer makes of a kind of model: "yes", or what it gives instead."""
    first = attempt(kind, peer, by_name=True)
    return "yes" if first != "yes" and attempt(kind, peer, by_name=False) == "yes" else first


def attempt(kind: str, peer: str, by_name: bool) -> str:
    """Return what a peer makes of a kind of model, where it is given the layer's name, or none."""
    row, expected = with_a_map(kind)
    targets, weights = targets_of(row)
    layer = named(row) if by_name else None
    try:
        maps = np.asarray(PEERS[peer](row, targets, np.asarray(weights), layer), "float64")
    except Exception as error:
        return f"`{type(error).__name__}{said_by(error)}`"
    if not np.isfinite(maps).all():
        return "NaN, silently"
    if not maps.any():
        return "an empty map, silently"
    if maps.ndim == 2 and expected[0].ndim > 2:
        return f"a row without a grid, silently (shape {maps.shape})"
    closest = max(correlation(maps, one) for one in expected)
    return "yes" if closest > SAME else f"another map, silently (correlation {closest:.2f}, shape {maps.shape})"


def said_by(error: Exception) -> str:
    """Return the last line of an error's message, without the places in files that come before it."""
    lines = [line.strip() for line in re.sub(r"\{\{.*?\}\}", "", str(error)).splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith(("File ", "Arguments received"))] or [""]
    said = lines[-1].removeprefix(f"{type(error).__name__}: ").replace("|", "/").replace("`", "'")
    return f": {said[:80]}{'...' if len(said) > 80 else ''}" if said else ""


def table(kinds: list[str]) -> Iterator[str]:
    """Yield the lines of the table."""
    yield "| kind of model | " + " | ".join(PEERS) + " |"
    yield "| --- " * (1 + len(PEERS)) + "|"
    explained = dict.fromkeys(PEERS, 0)
    for kind in kinds:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            verdicts = {peer: verdict(kind, peer) for peer in PEERS}
        for peer, said in verdicts.items():
            explained[peer] += said == "yes"
        yield f"| {kind.replace('_', ' ')} | " + " | ".join(verdicts.values()) + " |"
    yield f"| **of {len(kinds)}** | " + " | ".join(f"**{n}**" for n in explained.values()) + " |"


if __name__ == "__main__":
    publish_named(table, ROWS, "kinds.md", "kinds.py", __doc__)
