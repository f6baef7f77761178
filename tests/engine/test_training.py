"""Models that are explained while they are trained."""

import threading

import keras
import numpy as np
import pytest
from oracle import ORACLES, activations_and_gradients, close
from small_models import LABELS, ONE_HOT

import tfcam


def classifier(package):
    layers = pytest.importorskip(package).layers
    return pytest.importorskip(package).Sequential(
        [
            layers.Input((16, 12, 3)),
            layers.Conv2D(6, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.GlobalAveragePooling2D(),
            layers.Dropout(0.5),
            layers.Dense(4),
        ]
    )


def by_hand(model, images):
    """Return Grad-CAM of a classifier, with the weights and statistics that it has now."""
    conv, normalise, pool, _, dense = model.layers
    body = activations_and_gradients(lambda x: normalise(conv(x)), lambda a: dense(pool(a)), images, ONE_HOT)
    return ORACLES["grad-cam"](*body)


@pytest.mark.parametrize("options", [{}, {"jit_compile": True}, {"run_eagerly": True}], ids=str)
@pytest.mark.parametrize("package", ["keras", "tf_keras"])
@pytest.mark.parametrize("moment", ["on_train_batch_begin", "on_train_batch_end"])
def test_a_model_is_explained_from_a_callback(images, package, options, moment):
    model = classifier(package)
    explainer, seen = tfcam.GradCAM(model), []
    explainer.explain(images, LABELS)

    def explain(self, *_, **__):
        before = [weight.copy() for weight in model.get_weights()]
        seen.append((explainer.explain(images, LABELS, resize=False).numpy()[..., 0], by_hand(model, images)))
        assert all(map(np.array_equal, before, model.get_weights()))

    callback = type("Explaining", (pytest.importorskip(package).callbacks.Callback,), {moment: explain})()
    model.compile(pytest.importorskip(package).optimizers.SGD(0.5), "mse", **options)
    losses = model.fit(images, ONE_HOT, epochs=3, batch_size=5, verbose=0, callbacks=[callback]).history["loss"]
    # One trace for maps of each size, before and while it trains: it is not traced anew.
    assert len(losses) == len(seen) == 3 and explainer.trace_count == 2
    for maps, expected in seen:
        close(maps, expected)
    assert np.abs(seen[0][0] - seen[-1][0]).max() > 1e-5


def test_training_with_and_without_a_look_gives_the_same_weights(images):
    trained = []
    for look in (False, True):
        keras.utils.set_random_seed(3)
        model = classifier("keras")
        model.compile("adam", "mse")
        explainer = tfcam.GradCAM(model)
        callback = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_, e=explainer: e.explain(images, LABELS))
        model.fit(images, ONE_HOT, epochs=3, verbose=0, callbacks=[callback] if look else [])
        trained.append(model.get_weights())
    assert all(map(np.array_equal, *trained))


def test_a_model_is_explained_by_another_thread_while_it_is_trained(images):
    model = classifier("keras")
    model.compile(keras.optimizers.SGD(0.0), "mse")
    model.fit(images, ONE_HOT, verbose=0)
    model.layers[1].trainable = False
    model.compile(keras.optimizers.SGD(0.0), "mse")
    expected, failed, maps = by_hand(model, images), [], []

    def explain():
        try:
            maps.extend(tfcam.GradCAM(model).explain(images, LABELS, resize=False)[..., 0] for _ in range(4))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=explain) for _ in range(2)]
    for thread in threads:
        thread.start()
    model.fit(images, ONE_HOT, epochs=20, verbose=0)
    for thread in threads:
        thread.join()
    assert not failed and len(maps) == 8
    for one in maps:
        close(one, expected)
