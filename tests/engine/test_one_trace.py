"""What is found out of a model is found once, and shared by all that explain it."""

import gc
import threading
import weakref
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from oracle import close, same
from small_models import LABELS

import tfcam

L = keras.layers
METHODS = ["grad-cam", "xgrad-cam", "layer-cam", "eigen-cam", "lift-cam", "ablation-cam", "full-grad", "shapley-cam"]


class Counting(keras.Model):
    """A classifier that tells how often it is traced."""

    def __init__(self):
        super().__init__()
        self.conv, self.pool, self.head = L.Conv2D(4, 3, activation="swish"), L.GlobalAveragePooling2D(), L.Dense(4)
        self.strengths = [1.0, 2.0, 3.0, 4.0]
        self.traces = 0

    def call(self, inputs):
        self.traces += tf.is_symbolic_tensor(inputs)
        return self.head(tf.nn.tanh(self.pool(self.conv(inputs)))) * tf.constant(self.strengths)


def counting(images):
    model = Counting()
    model(images)
    return model


def test_the_layers_are_found_in_the_run_that_is_explained(images):
    model = keras.Sequential([L.Input((16, 12, 3)), L.Conv2D(4, 3, activation="relu"), L.Flatten(), L.Dense(4)])
    runs, conv = [], model.layers[0].call
    model.layers[0].call = lambda *arguments, **named: runs.append(1) or conv(*arguments, **named)
    maps = [tfcam.GradCAM(model).explain(images, LABELS)]
    assert len(runs) == 1
    first = tfcam.GradCAM(model)
    runs.clear()
    others = [tfcam.XGradCAM(model), tfcam.LayerCAM(model), tfcam.EigenCAM(model)]
    for other in others:
        other.explain(images, LABELS)
    assert all(other.session.known.trace is first.session.known.trace for other in others)
    tfcam.compare(model, images, LABELS, ["grad-cam", "xgrad-cam", "fem"])
    tfcam.metrics.Deletion(model, images, LABELS).evaluate(maps[0])
    assert tfcam.verify_conservation(model, images, LABELS).layer == first.conv_layer
    assert tfcam.list_layers(model)[0].path == first.conv_layer
    assert not runs


def test_a_model_without_declared_inputs_runs_once_for_all_explainers(images):
    model = counting(images)
    first = tfcam.GradCAM(model)
    first.explain(images, LABELS)
    traces = model.traces
    tfcam.HiResCAM(model).explain(images, LABELS)
    assert model.traces == traces


@pytest.mark.parametrize("name", METHODS)
def test_a_method_that_comes_second_gives_what_it_gives_alone(images, name):
    model = counting(images)
    alone = tfcam.get_method(name)(model).explain(images, LABELS).numpy()
    gc.collect()
    others = [tfcam.get_method(other)(model) for other in METHODS]
    for other in others:
        other.explain(images, LABELS)
    close(tfcam.get_method(name)(model).explain(images, LABELS), alone)
    of_classes = others[METHODS.index(name)].explain_classes(images, [0, 3])
    close(of_classes[:, 1], maps_of(name, model, images, 3))


def maps_of(name, model, images, target):
    return tfcam.get_method(name)(model).explain(images, target).numpy()


@pytest.mark.parametrize("change", ["in a list", "of a list", "in an object", "in an array", "of the class"])
def test_a_new_explainer_sees_what_only_a_list_of_the_users_tells(images, change, monkeypatch):
    class Held:
        strength = 1.0

        def __init__(self):
            self.inner = {"strength": 1.0}

    class Scaled(Counting):
        def __init__(self):
            super().__init__()
            self._held, self.array = Held(), np.ones(1, "float32")

        def call(self, inputs):
            return super().call(inputs) * self._held.inner["strength"] * float(self.array[0])

    model = Scaled()
    model(images)
    kept = tfcam.GradCAM(model)
    before = kept.explain(images, LABELS).numpy()
    if change == "in a list":
        model.strengths[0] = 3.0
    elif change == "of a list":
        model.strengths = [3.0, 6.0, 9.0, 12.0]
    elif change == "in an object":
        model._held.inner["strength"] = 3.0
    elif change == "in an array":
        model.array[0] = 3.0
    else:
        call = Scaled.call
        monkeypatch.setattr(Scaled, "call", lambda self, inputs: 3.0 * call(self, inputs))
    after = tfcam.GradCAM(model).explain(images, LABELS).numpy()
    of_the_first = np.asarray(LABELS) == 0
    tripled = of_the_first if change == "in a list" else np.ones(len(LABELS), bool)
    close(after, np.where(tripled[:, None, None, None], 3.0, 1.0) * before)


def test_an_explainer_that_is_reset_sees_any_change_and_so_do_those_after_it(images):
    strength = [1.0]
    model = keras.Sequential(
        [L.Input((16, 12, 3)), L.Conv2D(3, 3), L.Lambda(lambda x: x * strength[0]), L.Flatten(), L.Dense(4)]
    )
    first, second = tfcam.GradCAM(model, conv_layer=0), tfcam.GradCAM(model, conv_layer=0)
    before = first.explain(images, LABELS).numpy()
    strength[0] = 2.0
    same(second.explain(images, LABELS), before)
    second.reset()
    close(second.explain(images, LABELS), 2.0 * before)
    close(tfcam.GradCAM(model, conv_layer=0).explain(images, LABELS), 2.0 * before)


def test_a_model_that_is_dropped_is_freed_and_all_that_was_traced_of_it(images):
    model = keras.Sequential([L.Input((16, 12, 3)), L.Conv2D(4, 3, activation="relu"), L.Flatten(), L.Dense(4)])
    explainers = [tfcam.GradCAM(model), tfcam.AblationCAM(model), tfcam.FullGrad(model)]
    for explainer in explainers:
        explainer.explain(images, LABELS)
        explainer.explain_top(images, 2)
    list_of_layers = explainers[0].list_layers()
    graph = weakref.ref(explainers[0].session.known.trace.run.graph)
    model_alive, layer_alive = weakref.ref(model), weakref.ref(model.layers[0])
    assert graph() is not None
    del model, explainers, explainer
    gc.collect()
    assert graph() is None and model_alive() is None and layer_alive() is None
    assert list_of_layers[0].shape


def test_a_graph_that_has_grown_is_traced_anew(images, monkeypatch):
    monkeypatch.setattr("tfcam.backend.open_graph._MOST_FUNCTIONS", 3)
    model = counting(images)
    explainer = tfcam.GradCAM(model)
    maps = explainer.explain(images, LABELS).numpy()
    traces = []
    for _ in range(8):
        close(tfcam.GradCAM(model).explain(images, LABELS), maps)
        traces.append(model.traces)
    assert len(set(traces)) > 2


@pytest.mark.parametrize("refused", ["trace", "compile"])
def test_where_tensorflow_does_not_keep_a_graph_open_models_are_traced_again(images, monkeypatch, refused):
    model = counting(images)
    expected = {name: maps_of(name, model, images, 1) for name in METHODS}
    gc.collect()

    def refuse(*_arguments, **_named):
        raise AttributeError("gone from TensorFlow")

    if refused == "trace":
        monkeypatch.setattr("tfcam.backend.open_graph.func_graph_from_py_func", refuse)
    else:
        monkeypatch.setattr("tfcam.backend.open_graph.atomic_function", SimpleNamespace(from_func_graph=refuse))
    for name, maps in expected.items():
        close(maps_of(name, model, images, 1), maps)


def with_a_skip(kind):
    """Return a model that reads what a layer is given beside what it hands on, and its head."""
    inputs = keras.Input((16, 12, 3))
    x = L.Conv2D(4, 3, activation="tanh", name="conv")(inputs)
    handed_on = {"dropout": L.Dropout(0.5, name="named"), "activation": L.Activation("linear", name="named")}[kind](x)
    both = L.Add()([L.Conv2D(4, 1, activation="tanh")(handed_on), x])
    return keras.Model(inputs, L.Dense(4)(L.Flatten()(both)))


@pytest.mark.parametrize("kind", ["dropout", "activation"])
def test_a_layer_that_hands_on_what_it_was_given_has_the_gradient_of_its_own_output(images, kind):
    model = with_a_skip(kind)
    explainers = [tfcam.GradCAM(model, conv_layer=name, signed=True) for name in ("conv", "named")]
    of_conv, of_named = (one.explain(images, LABELS, resize=False).numpy() for one in explainers)
    conv, _, inner, add, flat, head = model.layers[1:]
    x = conv(images)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        given = tf.identity(x)
        scores = tf.gather(head(flat(add([inner(given), x]))), LABELS, batch_dims=1)
    for maps, start in ((of_conv, x), (of_named, given)):
        weights = tf.reduce_mean(tape.gradient(scores, start), [1, 2], keepdims=True)
        close(maps, tf.reduce_sum(weights * x, -1, keepdims=True).numpy())


class Halves(L.Layer):
    def call(self, inputs):
        return tf.split(inputs, 2, axis=-1)


class First(L.Layer):
    def call(self, parts):
        return parts[0]


def test_a_layer_that_picks_one_of_several_tensors_has_the_gradient_of_that_one(images):
    inputs = keras.Input((16, 12, 3))
    parts = Halves()(L.Conv2D(4, 3, name="conv")(inputs))
    first = First(name="first")(parts)
    outputs = L.Dense(4)(L.Flatten()(L.Concatenate()([first, L.Activation("tanh")(parts[1])])))
    model = keras.Model(inputs, outputs)
    layers = {layer.name: layer for layer in model.layers}
    maps = tfcam.GradCAM(model, conv_layer="first", signed=True).explain(images, LABELS, resize=False).numpy()
    left, right = (part.numpy() for part in tf.split(layers["conv"](images), 2, axis=-1))
    with tf.GradientTape() as tape:
        left = tf.Variable(left)
        features = tf.concat([left, tf.tanh(right)], -1)
        scores = tf.gather(model.layers[-1](tf.reshape(features, [len(images), -1])), LABELS, batch_dims=1)
    weights = tf.reduce_mean(tape.gradient(scores, left), [1, 2], keepdims=True)
    close(maps, tf.reduce_sum(weights * left, -1, keepdims=True).numpy())


def test_explanations_have_derivatives(images):
    model = keras.Sequential([L.Input((16, 12, 3)), L.Conv2D(4, 3, activation="tanh"), L.Flatten(), L.Dense(4)])
    explainer, x = tfcam.GradCAM(model, signed=True), tf.constant(images)
    explainer.explain(x, LABELS)

    def total(values):
        return tf.reduce_sum(explainer.explain(values, LABELS, resize=False))

    with tf.GradientTape() as tape:
        tape.watch(x)
        value = total(x)
    gradient = tape.gradient(value, x)
    step = tf.constant(np.random.default_rng(1).normal(size=images.shape).astype("float32"))
    difference = (total(x + 1e-2 * step) - total(x - 1e-2 * step)) / 2e-2
    np.testing.assert_allclose(tf.reduce_sum(gradient * step), difference, rtol=1e-2)


def test_threads_that_explain_one_model_at_once_get_what_each_gets_alone(images):
    model = counting(images)
    expected = {name: maps_of(name, model, images, 1) for name in METHODS}
    gc.collect()
    found, errors = {}, []

    def explain(name):
        try:
            found[name] = maps_of(name, model, images, 1)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=explain, args=(name,)) for name in METHODS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    for name, maps in expected.items():
        close(found[name], maps)


@pytest.mark.parametrize("package", ["keras", "tf_keras"])
def test_a_variable_that_a_model_makes_when_it_is_called_is_read_whenever_it_is_explained(images, package):
    package = pytest.importorskip(package)

    class Late(package.Model):
        def __init__(self):
            super().__init__()
            layers = package.layers
            self.conv, self.flat, self.head = layers.Conv2D(3, 3), layers.Flatten(), layers.Dense(4)
            self.strength = None

        def call(self, inputs):
            if self.strength is None:
                self.strength = tf.Variable(1.0, trainable=False)
            return self.head(self.flat(self.conv(inputs))) * self.strength

    model = Late()
    explainer = tfcam.GradCAM(model)
    before = explainer.explain(images, LABELS).numpy()
    model.strength.assign(3.0)
    close(explainer.explain(images, LABELS), 3.0 * before)
    close(tfcam.GradCAM(model).explain(images, LABELS), 3.0 * before)
    assert explainer.trace_count == 1
