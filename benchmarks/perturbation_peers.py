"""Methods that perturb, beside pytorch-grad-cam and tf-keras-vis: what an image takes, and whether the maps agree.

Run ``make torch-benchmarks``; with ``--write`` the table goes into docs/benchmarks.md. The network of PyTorch has the
weights of Keras' array by array. Each row has a process of its own, so that the peak of its memory is that of the row.
"Passes" is the time over that of one forward pass of one image in a compiled batch of 27, the size of tfcam's chunks.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import numpy as np
import tensorflow as tf
from pages import publish

LAST, MIDDLE, AROUND = "out_relu", "block_13_expand_relu", "block_12_expand_relu"
#: What is measured: method, layer, and the library.
ROWS = [
    *(("ablation-cam", layer, who) for layer in (LAST, MIDDLE, AROUND) for who in ("tfcam", "pytorch-grad-cam")),
    *(("score-cam", LAST, who) for who in ("tfcam", "pytorch-grad-cam", "tf-keras-vis")),
    *(("faster-score-cam", LAST, who) for who in ("tfcam", "tf-keras-vis")),
    *((name, LAST, "tfcam") for name in ("group-cam", "opti-cam", "rise")),
    *((name, layer, "tfcam") for name in ("recipro-cam", "lift-cam") for layer in (LAST, MIDDLE)),
]


def network(path: str | None) -> keras.Model:
    """Return a MobileNetV2 that puts out logits: of random weights, or a file's."""
    keras.utils.set_random_seed(0)
    if path is None:
        return keras.applications.MobileNetV2(weights=None, classifier_activation=None)
    model = keras.models.load_model(path)
    last = model.layers[-1]
    if isinstance(last, keras.layers.Softmax):
        return keras.Model(model.inputs, last.input)
    last.activation = keras.activations.linear
    return keras.Model(model.inputs, model.outputs)


def noise(*grid: int) -> np.ndarray:
    """Return an image of noise."""
    return np.random.default_rng(0).uniform(-1, 1, (1, *grid, 3)).astype("float32")


def read(path: str) -> np.ndarray:
    """Return a file's image as MobileNetV2 wants it."""
    return keras.utils.img_to_array(keras.utils.load_img(path, target_size=(224, 224)))[None] / 127.5 - 1


def by_tfcam(name: str, layer: str, model: keras.Model, image: np.ndarray, target: int) -> Callable[[], np.ndarray]:
    """Return the run of tfcam's method: a map of the layer's size."""
    import tfcam

    explainer = tfcam.METHODS[name](model, conv_layer=layer, batch_size=1)
    return lambda: explainer.explain(image, target, resize=False).numpy()[0, ..., 0]


def by_torch(
    name: str, layer: str, model: keras.Model, image: np.ndarray, target: int, rounds: int = 1
) -> tuple[np.ndarray, list[str]]:
    """Return the map of pytorch-grad-cam, and what its process printed."""
    with tempfile.TemporaryDirectory() as folder:
        files = [os.path.join(folder, name) for name in ("model.keras", "image.npy", "map.npy")]
        model.save(files[0])
        np.save(files[1], image)
        script = os.path.join(os.path.dirname(__file__), "in_torch.py")
        row = [
            sys.executable,
            script,
            *files[:2],
            name,
            layer,
            files[2],
            "--target",
            str(target),
            "--rounds",
            str(rounds),
        ]
        said = subprocess.run(row, stdout=subprocess.PIPE, text=True, check=True).stdout
        return np.load(files[2]), said.split()[-3:]


def by_tf_keras_vis(
    name: str, layer: str, model: keras.Model, image: np.ndarray, target: int
) -> Callable[[], np.ndarray]:
    """Return the run of tf-keras-vis' Score-CAM, or its faster one."""
    from tf_keras_vis.scorecam import Scorecam
    from tf_keras_vis.utils.scores import CategoricalScore

    explainer, score = Scorecam(model), CategoricalScore([target])
    options = {"penultimate_layer": layer} | ({"max_N": 10} if name == "faster-score-cam" else {})
    return lambda: np.asarray(explainer(score, image, **options))[0]


LIBRARIES = {"tfcam": by_tfcam, "tf-keras-vis": by_tf_keras_vis}


def measure(name: str, layer: str, who: str, rounds: int) -> None:
    """Print the seconds of an image, those of a forward pass of one, and the peak of the memory in GiB."""
    model, image = network(None), noise(224, 224)
    run = LIBRARIES[who](name, layer, model, image, 3)
    forward, batch = tf.function(lambda x: model(x, training=False)), tf.constant(np.repeat(image, 27, axis=0))
    times: dict[str, list[float]] = {"run": [], "forward": []}
    for number in range(rounds + 1):
        for what, timed in (("forward", lambda: [forward(batch).numpy() for _ in range(10)]), ("run", run)):
            start = time.perf_counter()
            timed()
            if number:  # the first is spent on compiling
                times[what].append(time.perf_counter() - start)
    each, of_one = np.median(times["run"]), np.median(times["forward"]) / 270
    print(each, of_one, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)


def table(rounds: int) -> Iterator[str]:
    """Yield the lines of the table."""
    yield "| method | layer of MobileNetV2 | by | s an image | passes | times tfcam's | peak, GiB |"
    yield "| --- " * 7 + "|"
    own: dict[tuple[str, str], tuple[float, float]] = {}
    of_torch = ""
    for name, layer, who in ROWS:
        if who == "pytorch-grad-cam":
            _, (seconds, memory, of_torch) = by_torch(name, layer, network(None), noise(224, 224), 3, rounds)
            each, of_one, peak = float(seconds), own[name, layer][1], float(memory)
        else:
            row = [sys.executable, __file__, "--row", name, layer, who, "--rounds", str(rounds)]
            said = subprocess.run(row, stdout=subprocess.PIPE, text=True, check=True).stdout.split()[-3:]
            each, of_one, peak = map(float, said)
        ours, _ = own.setdefault((name, layer), (each, of_one))
        times = "" if who == "tfcam" else f"{each / ours:.1f}"
        yield f"| {name} | {layer} | {who} | {each:.3f} | {each / of_one:.1f} | {times} | {peak:.1f} |"
    yield f"\nTensorFlow {tf.__version__}, Keras {keras.__version__}, PyTorch {of_torch.partition('+')[0]},"
    yield f"Python {platform.python_version()}, {os.cpu_count()} CPU cores, medians of {rounds} rounds."


def agreement(path: str | None, image: np.ndarray) -> None:
    """Print how far maps are from pytorch-grad-cam's: on a network, and where Score-CAM's masks need no resizing."""
    model = network(path)
    target = int(np.argmax(model(image).numpy()[0]))
    relus = [layer.name for layer in model.layers if isinstance(layer, keras.layers.ReLU)]
    for layer in (relus[-1], relus[-4]):
        _compare("ablation-cam", layer, model, image, target)
    layers = keras.layers
    inputs = keras.Input((24, 20, 3))
    x = layers.ReLU(name="of_its_size")(layers.Conv2D(12, 3, padding="same")(inputs))
    x = layers.ReLU()(layers.Conv2D(8, 3)(x))
    small = keras.Model(inputs, layers.Dense(4)(layers.GlobalAveragePooling2D()(x)))
    # The peer divides Ablation-CAM's weights by the score, which turns them around where it is negative.
    best = int(np.argmax(small(noise(24, 20)).numpy()[0]))
    for name in ("ablation-cam", "score-cam"):
        _compare(name, "of_its_size", small, noise(24, 20), best)


def _compare(name: str, layer: str, model: keras.Model, image: np.ndarray, target: int) -> None:
    ours, (theirs, _) = by_tfcam(name, layer, model, image, target)(), by_torch(name, layer, model, image, target)
    apart = np.abs(ours / ours.max() - theirs / theirs.max()).max()
    print(f"{name} at {layer} of {model.name}: largest difference of the maps, each over its maximum: {apart:.1e}")


def main() -> None:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--row", nargs=3, metavar=("METHOD", "LAYER", "BY"), help="measure one row, in this process")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--agreement", nargs="*", metavar="FILE", help="compare the maps: of a model's file, an image's"
    )
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    if arguments.row:
        measure(*arguments.row, rounds=arguments.rounds)
    elif arguments.agreement is not None:
        path, *pictures = arguments.agreement or [None]
        agreement(path, read(pictures[0]) if pictures else noise(224, 224))
    else:
        publish(table(arguments.rounds), "benchmarks.md", "perturbation_peers.py", arguments.write)


if __name__ == "__main__":
    main()
