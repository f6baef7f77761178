"""Metrics on an ImageNet model and photographs: a peer's maps measure as ours, and knowing the class is worth some."""

import keras
import numpy as np
import pytest

import tfcam

pytestmark = pytest.mark.slow
LAYER = "depthwise_13_relu"


@pytest.fixture(scope="module")
def photographs(assets):
    """Return the model, photographs as it takes them, their labels, and the peer's maps."""
    peer = np.load(assets / "reference/peer_maps_8.npz")
    model = keras.models.load_model(assets / "models/mobilenet_v2_imagenet.keras")
    return model, peer["images"].astype("float32") / 127.5 - 1, peer["labels"], peer


@pytest.mark.parametrize("method", ["grad-cam", "hires-cam"])
def test_maps_of_a_peer_measure_as_ours(method, photographs):
    model, images, labels, peer = photographs
    explainer = tfcam.get_method(method)(model, conv_layer=LAYER)
    theirs = np.maximum(peer[f"{LAYER}/{explainer.__class__.__name__}"], 0)
    grid = theirs.shape[1:]
    ours = explainer.explain(images, labels, resize=False).numpy()[..., 0]
    enlarge = np.ones((1, 224 // grid[0], 224 // grid[1]))
    for name, options in {"average-drop": {}, "mu-fidelity": {"samples": 8}, "complexity": {}}.items():
        metric = tfcam.get_metric(name)(model, images, labels, **options)
        np.testing.assert_allclose(
            metric.per_sample(np.kron(theirs, enlarge)), metric.per_sample(np.kron(ours, enlarge)), rtol=1e-3, atol=1e-3
        )


def test_a_method_that_knows_the_class_beats_one_that_weights_at_random(photographs):
    model, images, labels, _ = photographs
    metrics = {"insertion": {"percent": 10}, "road": {"percents": (20, 50)}, "mu-fidelity": {"samples": 50}}
    found = tfcam.evaluate(model, images, labels, ["grad-cam", "random-cam"], None, metrics)
    for name in metrics:
        difference = found.difference(name, ("grad-cam", "out_relu"), ("random-cam", "out_relu"))
        assert difference.low > 0 and difference.wins >= 0.75
