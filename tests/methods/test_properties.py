"""What every method and every operator must do, whatever its formula: a new one is tested by being there."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from detectors import pyramid_detector
from oracle import ORACLES, ROUNDING, same
from small_models import FEWER, KINDS, LABELS, reader, segmenter

import tfcam

#: Methods that rounding moves farther: second derivatives of a score that is almost certain cancel, as scores do that
#: are almost the same; a climb and a factorization magnify it step by step.
MAGNIFIED = dict.fromkeys(
    ("ablation-cam", "deep-feature-factorization", "group-cam", "lift-cam", "opti-cam", "shapley-cam"), 1e-4
)


#: Methods that draw numbers.
DRAWING = {"d-rise", "deep-feature-factorization", "random-cam", "rise", "smooth-grad-cam-plus-plus", "ss-cam"}


def explaining(method, model):
    return method(model, batch_size=3, **FEWER.get(method.name, {}))


#: Explainers are traced once for all tests, and some of them once more for a comparison.
EXPLAINERS = {}
MODELS = {}
COMPARED = {}


@pytest.fixture(scope="module", params=tfcam.METHODS)
def name(request):
    """Return a method, whose tests run one after the other."""
    return request.param


@pytest.fixture
def explainer_of(explained_by, images):
    def made(name):
        method = tfcam.METHODS[name]
        if name not in EXPLAINERS:
            model = MODELS.setdefault(method.needs, explained_by(method))
            EXPLAINERS[name] = explaining(method, model)
            # One trace for batches of every size. It is counted here, for later tests trace other things.
            EXPLAINERS[name].explain(images, LABELS)
            assert EXPLAINERS[name].trace_count == 1
        return EXPLAINERS[name]

    return made


@pytest.fixture
def explainer(name, explainer_of):
    return explainer_of(name)


def test_maps_are_finite_nonnegative_and_of_their_images_size(explainer, images):
    maps = explainer.explain(images, LABELS)
    assert isinstance(maps, tf.Tensor)
    assert maps.shape == (5, 16, 12, 1)
    assert maps.dtype == tf.float32
    assert np.isfinite(maps).all() and np.min(maps) >= 0 and np.max(maps) > 0


def test_a_map_is_the_same_each_time(explainer, images):
    np.testing.assert_array_equal(explainer.explain(images, LABELS), explainer.explain(images, LABELS))


@pytest.mark.parametrize("name", sorted(DRAWING | {*KINDS}), indirect=True)
def test_a_map_is_the_same_from_another_explainer(explainer, images):
    again = explaining(type(explainer), explainer.model)
    same(again.explain(images, LABELS), explainer.explain(images, LABELS).numpy())


def test_a_map_does_not_depend_on_its_batch_mates(explainer, images):
    together = explainer.explain(images, LABELS).numpy()
    traces = explainer.trace_count
    for index in range(5):
        alone = explainer.explain(images[index : index + 1], LABELS[index : index + 1]).numpy()[0]
        rounding = MAGNIFIED.get(explainer.name, ROUNDING)
        np.testing.assert_allclose(alone, together[index], atol=rounding * together[index].max())
    assert explainer.trace_count == traces


def test_a_dataset_gives_the_maps_of_its_arrays(explainer, images):
    dataset = tf.data.Dataset.from_tensor_slices((images, LABELS))
    same(explainer.explain(dataset), explainer.explain(images, LABELS).numpy())


@pytest.mark.parametrize("name", KINDS, indirect=True)
def test_a_dataset_is_mapped_to_the_maps_of_its_arrays(explainer, images):
    dataset = tf.data.Dataset.from_tensor_slices((images, LABELS))
    same(np.concatenate([maps for *_, maps in explainer.map(dataset)]), explainer.explain(images, LABELS).numpy())


@pytest.mark.parametrize("name", [name for name in KINDS if not tfcam.METHODS[name].needs], indirect=True)
def test_a_comparison_gives_the_map_that_a_method_gives_alone(explainer, explainer_of, images):
    if not COMPARED:
        each = [explainer_of(name) for name in KINDS if not tfcam.METHODS[name].needs]
        COMPARED.update(tfcam.compare(explainer.model, images, LABELS, each))
    alone = explainer.explain(images, LABELS).numpy()
    np.testing.assert_allclose(COMPARED[explainer.name], alone, atol=5e-6 * alone.max())


def test_several_classes_are_each_explained_as_if_alone(explainer, images):
    maps = explainer.explain_classes(images, [3, 0]).numpy()
    same(maps[:, 0], explainer.explain(images, 3).numpy())
    same(maps[:, 1], explainer.explain(images, 0).numpy())


@pytest.mark.parametrize("name", KINDS, indirect=True)
def test_half_precision_gives_the_map_of_the_same_weights(explainer, images):
    keras.config.set_dtype_policy("mixed_float16")
    half = keras.models.clone_model(
        explainer.model,
        clone_function=lambda layer: type(layer).from_config(layer.get_config() | {"dtype": "mixed_float16"}),
    )
    half.set_weights(explainer.model.get_weights())
    expected = explainer.explain(images, LABELS).numpy()
    maps = explaining(type(explainer), half).explain(images, LABELS).numpy()
    assert maps.dtype == np.float32
    np.testing.assert_allclose(maps, expected, atol=2e-2 * expected.max())


#: The formulas of activations and gradients are tested on grids of every rank elsewhere: test_formulas.py.
SERIES = [
    (name, (24,))
    for name in sorted({*tfcam.METHODS} - {*ORACLES} | {*KINDS})
    # Boxes are of images.
    if tfcam.METHODS[name].needs != "boxes"
]
VOLUMES = [(name, (7, 6, 5)) for name in KINDS]


@pytest.mark.parametrize(("name", "grid"), SERIES + VOLUMES, indirect=["name"])
def test_series_and_volumes_are_explained_as_images_are(name, grid):
    method, layers = tfcam.METHODS[name], keras.layers
    convolution, average = {
        1: (layers.Conv1D, layers.GlobalAveragePooling1D),
        3: (layers.Conv3D, layers.GlobalAveragePooling3D),
    }[len(grid)]
    inputs = keras.Input((*grid, 2))
    x = convolution(4, 3, padding="same", activation="relu")(inputs)
    if method.needs == "attention":
        tokens = layers.Reshape((-1, 4))(x)
        x = layers.Add()([tokens, layers.MultiHeadAttention(1, 4)(tokens, tokens)])
        average = layers.GlobalAveragePooling1D
    else:
        x = convolution(4, 3, padding="same", activation="relu")(x)
    model = keras.Model(inputs, layers.Dense(3)(average()(x)))
    # All that is seen speaks for class 0, so that no method has a reason to leave its maps dark.
    model.layers[-1].kernel.assign(3 * np.abs(model.layers[-1].kernel) * [1, -1, -1])
    x = np.random.default_rng(0).uniform(-1, 1, (2, *grid, 2)).astype("float32")
    x[0, 1:4] += 10
    x[1, 3:5] += 10
    explainer = explaining(method, model)
    maps = explainer.explain(x, 0).numpy()
    assert maps.shape == (2, *grid, 1) and np.isfinite(maps).all() and maps.min() >= 0 and maps.max() > 0
    alone = explainer.explain(x[1:], 0).numpy()
    np.testing.assert_allclose(alone[0], maps[1], atol=MAGNIFIED.get(name, ROUNDING) * maps[1].max())


# ---------------------------------------------------------------- operators

#: Labels of an operator that takes no classes.
TARGETS: dict[str, np.ndarray] = {
    "doubt": np.array([[0, 1], [1, 2], [2, 3], [3, 0], [1, 3]]),
    "similarity": np.random.default_rng(1).normal(size=(5, 4)).astype("float32"),
    "ordinal": np.array([1, -1, 1, 1, -1]),
}
#: Those that have no targets by default.
WITHOUT_DEFAULT = {"similarity"}
#: A model of an operator that does not explain classifiers.
MODELS = {"segmentation": segmenter, "sequence step": reader, "detection": lambda: pyramid_detector((16, 12))}


@pytest.fixture(params=[task.value.name for task in tfcam.Tasks])
def operator(request):
    return request.param


@pytest.fixture
def task_model(operator, model):
    """Return a model that has scores of the operator: a classifier, where it is not in `MODELS`."""
    return MODELS[operator]() if operator in MODELS else model


def targets_of(operator):
    return TARGETS.get(operator, LABELS)


def joined(parts):
    return tf.nest.map_structure(lambda *arrays: np.concatenate(arrays), *parts)


def test_an_operators_maps_do_not_depend_on_batch_mates(operator, task_model, images):
    explainer, targets = tfcam.GradCAM(task_model, operator=operator), targets_of(operator)
    together = explainer.explain(images, targets).numpy()
    assert np.isfinite(together).all() and together.max() > 0
    for index in range(5):
        alone = explainer.explain(images[index : index + 1], targets[index : index + 1])[0]
        np.testing.assert_allclose(alone, together[index], atol=ROUNDING * together.max())


def test_an_operator_means_the_same_by_its_name_its_task_and_itself(operator, task_model, images):
    task, targets = tfcam.Tasks(operator), targets_of(operator)
    expected = tfcam.GradCAM(task_model, operator=operator).explain(images, targets).numpy()
    for given in (task, task.value()):
        same(tfcam.GradCAM(task_model, operator=given).explain(images, targets), expected)


def test_the_targets_of_an_operator_go_through_a_dataset(operator, task_model, images):
    explainer, targets = tfcam.GradCAM(task_model, operator=operator, batch_size=2), targets_of(operator)
    dataset = tf.data.Dataset.from_tensor_slices((images, targets))
    labels_are_targets = tfcam.Tasks(operator).value.labels_are_targets
    expected = explainer.explain(images, targets if labels_are_targets else None).numpy()
    same(explainer.explain(dataset), expected)
    mapped = list(explainer.map(dataset))
    same(np.concatenate([maps for *_, maps in mapped]), expected)
    explained = joined([y for _, y, _ in mapped])
    same(explainer.explain(images, explained), expected)


def test_an_operators_default_targets_are_of_the_kind_that_it_reads(operator, task_model, images):
    if operator in WITHOUT_DEFAULT:
        pytest.skip("it has none: named targets are asked for")
    explainer = tfcam.GradCAM(task_model, operator=operator)
    [(_, default, maps)] = explainer.stream(images)
    [(_, read, _)] = explainer.stream(images, targets_of(operator))
    kinds = [[(one.shape, one.dtype) for one in tf.nest.flatten(targets)] for targets in (default, read)]
    assert kinds[0] == kinds[1]
    same(explainer.explain(images, default), maps.numpy())


def test_an_operators_maps_are_placed_by_effective_fields(operator, task_model, images):
    explainer, targets = tfcam.GradCAM(task_model, operator=operator), targets_of(operator)
    maps = explainer.explain(images, targets, resize="aligned", align="effective").numpy()
    assert maps.shape == (5, 16, 12, 1) and np.isfinite(maps).all() and maps.max() > 0
