"""Maps whose cells are placed where they look."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from dots import PLACES, blurring, centroids, convolutions, dots
from model_rows import chain
from small_models import KINDS

import tfcam

L = keras.layers


def padded(x):
    return chain(L.ZeroPadding2D(((0, 1), (1, 0))), L.Conv2D(1, 3, strides=2, activation="relu"))(x)


NETWORKS = {
    "one-sided padding": (convolutions(3, padding="same"), (3.5, 3.5)),
    "no padding": (convolutions(3), None),
    "padded by hand": ([padded, padded, padded], (3.5, -3.5)),
    "cropped": ([L.Cropping2D(((20, 4), (9, 15))), *convolutions(2)], None),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_an_object_is_where_its_map_is(name):
    layers, moved = NETWORKS[name]
    explainer = tfcam.GradCAM(blurring(*layers))
    images = dots(PLACES)
    aligned = centroids(explainer.explain(images, 1, resize="aligned")) - PLACES
    np.testing.assert_allclose(aligned.mean(axis=0), 0.0, atol=0.5)
    assert np.abs(aligned).max() < 2.5
    if moved:
        plain = centroids(explainer.explain(images, 1)) - PLACES
        np.testing.assert_allclose(plain.mean(axis=0), np.negative(moved), atol=1.2)


def test_offset_and_jump_of_a_stretched_grid_are_what_resizing_does():
    model = blurring(*convolutions(3, padding="same"))
    images, explainer = dots(PLACES), tfcam.GradCAM(model)
    stretched = explainer.explain(images, 1)
    for align in ((3.5, 8), ((3.5, 3.5), (8, 8)), (np.float32(3.5), 8.0)):
        np.testing.assert_allclose(explainer.explain(images, 1, resize="aligned", align=align), stretched, atol=1e-6)
    moved = explainer.explain(images, 1, resize="aligned", align=((3.5, 11.5), (8, 8)))
    np.testing.assert_allclose(moved[:, :, 16:-8], stretched[:, :, 8:-16], atol=1e-6)


def test_symmetric_padding_changes_nothing():
    model = blurring(L.Conv2D(1, 3, padding="same"), L.MaxPooling2D(), L.Conv2D(1, 3, padding="same"), L.MaxPooling2D())
    explainer = tfcam.GradCAM(model)
    np.testing.assert_allclose(
        explainer.explain(dots(PLACES), 1, resize="aligned"), explainer.explain(dots(PLACES), 1), atol=1e-6
    )


def test_every_call_places_them():
    explainer = tfcam.GradCAM(blurring(*convolutions(3, padding="same")), batch_size=2)
    images, labels = dots(PLACES), np.ones(len(PLACES), int)
    aligned = explainer.explain(images, labels, resize="aligned", normalize=True).numpy()
    options = {"resize": "aligned", "normalize": True}
    dataset = tf.data.Dataset.from_tensor_slices((images, labels)).batch(3)
    others = {
        "dataset": explainer.explain(dataset, **options),
        "stream": tf.concat([maps for *_, maps in explainer.stream(images, labels, **options)], 0),
        "map": tf.concat([maps for *_, maps in explainer.map(dataset, **options)], 0),
        "classes": explainer.explain_classes(images, [1], **options)[:, 0],
        "top": explainer.explain_top(images, 1, **options)[0][:, 0],
        "compare": tfcam.compare(explainer.model, images, labels, ["grad-cam"], **options)["grad-cam"],
    }
    for name, maps in others.items():
        np.testing.assert_allclose(maps, aligned, atol=1e-6, err_msg=name)
    assert np.abs(aligned - explainer.explain(images, labels, normalize=True)).max() > 0.1


@pytest.mark.parametrize("layers", [convolutions(3, padding="same"), [*convolutions(2), L.Conv2D(1, 2, strides=3)]])
def test_images_of_any_size_are_placed_as_by_a_model_of_that_size(layers):
    of_any = blurring(*layers, size=(None, None))
    explainer = tfcam.GradCAM(of_any)
    for size in ((96, 96), (70, 81), (65, 97), (100, 67), (88, 90)):
        images = np.random.default_rng(0).uniform(size=(2, *size, 1)).astype("float32")
        fixed = keras.Sequential([keras.Input((*size, 1)), *of_any.layers[1:]])
        expected = tfcam.GradCAM(fixed).explain(images, 1, resize="aligned")
        np.testing.assert_allclose(explainer.explain(images, 1, resize="aligned"), expected, atol=1e-5)
    assert explainer.trace_count == 1


def test_a_resizing_within_a_model_of_any_size_is_undone():
    layers = [L.Resizing(64, 48), *convolutions(3, padding="same")]
    explainer = tfcam.GradCAM(blurring(*layers, size=(None, None)))
    for size in ((96, 96), (128, 80)):
        images = np.random.default_rng(0).uniform(size=(2, *size, 1)).astype("float32")
        expected = tfcam.GradCAM(blurring(*layers, size=size)).explain(images, 1, resize="aligned")
        np.testing.assert_allclose(explainer.explain(images, 1, resize="aligned"), expected, atol=1e-5)


def test_what_no_cell_sees_is_dark():
    explainer = tfcam.GradCAM(blurring(L.Cropping2D(((20, 4), (0, 40))), *convolutions(2)))
    maps = explainer.explain(np.ones((1, 96, 96, 1), "float32"), 1, resize="aligned")[0, ..., 0].numpy()
    assert maps[20:90, :50].min() > 0 and maps[:20].max() == 0 and maps[92:].max() == 0 and maps[:, 56:].max() == 0


def test_each_of_several_layers_is_placed_by_its_own_field():
    model = blurring(*convolutions(4, padding="same"))
    names = [layer.name for layer in model.layers[2:5]]
    options = {"resize": "aligned", "normalize": True}
    each = [tfcam.GradCAM(model, conv_layer=name).explain(dots(PLACES), 1, **options) for name in names]
    fused = tfcam.GradCAM(model, conv_layer=names).explain(dots(PLACES), 1, resize="aligned")
    # Fused maps are scaled before they are resized, and a cubic kernel may overshoot.
    np.testing.assert_allclose(fused, tf.add_n(each) / 3, atol=0.1)
    assert np.abs((centroids(fused) - PLACES).mean(axis=0)).max() < 0.5


def symmetric(x):
    """Windows of even sizes, one beside the other: each cell is in the middle of its share of the pixels."""
    return chain(L.MaxPooling2D(), L.Conv2D(6, 3, padding="same", activation="relu"))(x)


def test_methods_give_what_stretching_gives_where_cells_lie_evenly():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((24, 24, 3))
    x = symmetric(symmetric(L.Conv2D(6, 3, padding="same", activation="relu")(inputs)))
    model = keras.Model(inputs, L.Dense(3)(L.GlobalAveragePooling2D()(x)))
    images = np.random.default_rng(0).uniform(size=(2, 24, 24, 3)).astype("float32")
    names = [
        *(name for name in KINDS if not tfcam.METHODS[name].needs),
        "cam",
        "deep-feature-factorization",
        "group-cam",
        "refine-cam",
    ]
    stretched = tfcam.compare(model, images, 1, names)
    aligned = tfcam.compare(model, images, 1, names, resize="aligned")
    for name, maps in stretched.items():
        np.testing.assert_allclose(aligned[name], maps, atol=1e-4 * max(1e-3, np.abs(maps).max()), err_msg=name)


@pytest.mark.parametrize(
    "method", ["grad-cam", "xgrad-cam", "full-grad", "winsor-cam", "poly-cam", "refine-cam", "eigen-cam"]
)
def test_methods_of_one_layer_or_many_put_the_object_where_it_is(method):
    # Full-Grad's maps are of biases, where a ReLU lets them through: below zero, at the dots alone.
    model = blurring(*convolutions(3, padding="same"), bias=-0.5 if method == "full-grad" else 0.0)
    explainer, images = tfcam.get_method(method)(model), dots(PLACES)
    aligned = centroids(explainer.explain(images, 1, resize="aligned")) - PLACES
    assert np.abs(aligned.mean(axis=0)).max() < 0.75
    stretched = centroids(explainer.explain(images, 1)) - PLACES
    assert np.abs(aligned.mean(axis=0)).max() < np.abs(stretched.mean(axis=0)).min()


def test_a_sum_over_all_layers_is_placed_for_each_of_several_classes():
    model = blurring(*convolutions(3, padding="same"), bias=-0.5)
    explainer = tfcam.FullGrad(model)
    aligned = explainer.explain(dots(PLACES), 1, resize="aligned")
    np.testing.assert_allclose(
        explainer.explain_classes(dots(PLACES), [0, 1], resize="aligned")[:, 1], aligned, atol=1e-5
    )


def test_the_maps_of_mirrored_images_are_placed_where_these_looked():
    explainer = tfcam.GradCAM(blurring(*convolutions(3, padding="same")), smooth="augment")
    aligned = centroids(explainer.explain(dots(PLACES), 1, resize="aligned")) - PLACES
    assert np.abs(aligned.mean(axis=0)).max() < 0.5
    guided = tfcam.GuidedGradCAM(explainer.model, smooth="augment")
    assert np.abs((centroids(guided.explain(dots(PLACES), 1, resize="aligned")) - PLACES).mean(axis=0)).max() < 0.5


def one_sided_models():
    same = {"strides": 2, "padding": "same", "activation": "relu"}
    first = {"data_format": "channels_first"}
    legacy = pytest.importorskip("tf_keras").layers
    series = [keras.Input((24, 2)), L.Conv1D(3, 3, **same), L.Conv1D(3, 3, **same), L.GlobalMaxPooling1D(), L.Dense(2)]
    volume = [
        keras.Input((8, 8, 8, 2)),
        L.Conv3D(3, 3, **same),
        L.Conv3D(3, 3, **same),
        L.GlobalMaxPooling3D(),
        L.Dense(2),
    ]
    turned = [keras.Input((2, 24, 24)), L.Permute((2, 3, 1)), L.Conv2D(3, 3, **same), L.Permute((3, 1, 2))]
    turned += [L.ZeroPadding2D(((0, 1), (0, 1)), **first), L.Permute((2, 3, 1)), L.Conv2D(3, 3, strides=2)]
    old = [legacy.Input((24, 24, 2)), legacy.Conv2D(3, 3, **same), legacy.Conv2D(3, 3, **same)]
    return {
        "series": keras.Sequential(series),
        "volumes": keras.Sequential(volume),
        "channels first": keras.Sequential([*turned, L.GlobalMaxPooling2D(), L.Dense(2)]),
        "tf_keras": pytest.importorskip("tf_keras").Sequential([*old, legacy.GlobalMaxPooling2D(), legacy.Dense(2)]),
    }


@pytest.mark.parametrize("kind", ["series", "volumes", "channels first", "tf_keras"])
def test_series_volumes_channels_first_and_legacy_models_are_placed_too(kind):
    model = one_sided_models()[kind]
    inputs = np.random.default_rng(0).uniform(size=(2, *model.input_shape[1:])).astype("float32")
    explainer = tfcam.HiResCAM(model, signed=True)
    placed = explainer.explain(inputs, 0, resize="aligned", align=(3, 4))
    np.testing.assert_allclose(explainer.explain(inputs, 0, resize="aligned"), placed, atol=1e-6)
    assert np.abs(placed - explainer.explain(inputs, 0)).max() > 1e-4


def test_concepts_are_placed_too():
    explainer = tfcam.DeepFeatureFactorization(blurring(*convolutions(3, padding="same")), count=1)
    options = {"resize": "aligned", "align": (7.0, 8.0)}
    concepts = explainer.concepts(dots(PLACES), **options).maps[:, 0]
    assert np.abs((centroids(concepts) - PLACES).mean(axis=0)).max() < 0.5
    assert explainer.concepts(dots(PLACES), resize=False).maps.shape == (len(PLACES), 1, 12, 12, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resize": "alined"}, "none of True, False and 'aligned'"),
        ({"align": "effective"}, "give that as well"),
        ({"resize": "aligned", "align": "efective"}, "none of 'arithmetic', 'effective'"),
        ({"resize": "aligned", "align": (1, 2, 3)}, "none of 'arithmetic', 'effective'"),
        ({"resize": "aligned", "align": (1, 0)}, "above 0"),
        ({"resize": "aligned", "align": ((1, 2, 3), 4)}, "the grid 2 axes"),
    ],
)
def test_bad_options_are_refused(options, message):
    explainer = tfcam.GradCAM(blurring(*convolutions(1), size=(16, 16)))
    with pytest.raises(ValueError, match=message):
        explainer.explain(np.ones((1, 16, 16, 1), "float32"), 1, **options)


def test_one_offset_is_not_that_of_several_layers():
    model = blurring(*convolutions(2), size=(16, 16))
    explainer = tfcam.GradCAM(model, conv_layer=[layer.name for layer in model.layers[1:3]])
    with pytest.raises(ValueError, match="places the cells of one layer"):
        explainer.explain(np.ones((1, 16, 16, 1), "float32"), 1, resize="aligned", align=(1, 2))
    with pytest.raises(ValueError, match="by arithmetic alone"):
        tfcam.FullGrad(model).explain(np.ones((1, 16, 16, 1), "float32"), 1, resize="aligned", align=(1, 2))


def maps_of(traced, specs):
    return tf.function(lambda images, weights: traced(images, weights)["values"]["maps"], specs)


def test_an_aligned_explanation_can_be_exported(tmp_path):
    from tfcam.engine import Explanations, MapOptions

    for size in ((96, 96), (None, None)):
        explainer = tfcam.GradCAM(blurring(*convolutions(3, padding="same"), size=size))
        specs = tf.TensorSpec((None, *size, 1)), tf.TensorSpec((None, 1))
        formula = Explanations(explainer.session, explainer, MapOptions.read("aligned", False, None))
        traced = explainer.session.known.function(formula, *specs)[0]
        exported = tf.Module()
        exported.model = explainer.model
        exported.explain = maps_of(traced, specs)
        tf.saved_model.save(exported, tmp_path / "explained")
        loaded = tf.saved_model.load(tmp_path / "explained")
        maps = loaded.explain(dots(PLACES), np.ones((len(PLACES), 1), "float32"))
        np.testing.assert_allclose(maps, explainer.explain(dots(PLACES), 1, resize="aligned"), atol=1e-5)


def test_tokens_stand_where_their_patches_do():
    """Padding on one side moves patches, and tokens with them, though each sees all others."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((31, 31, 3))
    x = L.Conv2D(8, 7, strides=4, padding="same", name="patches")(inputs)
    x = L.Reshape((64, 8))(x)
    x = L.Add(name="tokens")([x, L.MultiHeadAttention(2, 4)(x, x)])
    model = keras.Model(inputs, L.Dense(3)(L.GlobalAveragePooling1D()(x)))
    image = np.random.default_rng(0).uniform(size=(1, 31, 31, 3)).astype("float32")
    [default] = [info for info in tfcam.list_layers(model) if info.default]
    assert default.path == "tokens" and default.receptive_field is None
    explainer = tfcam.GradCAM(model, absolute=True)
    aligned = explainer.explain(image, 1, resize="aligned")
    of_patches = next(info for info in tfcam.list_layers(model) if info.path == "patches")
    first = tuple(low for low, _ in of_patches.centre)
    np.testing.assert_allclose(
        aligned, explainer.explain(image, 1, resize="aligned", align=(first, of_patches.stride)), atol=1e-6
    )
    assert np.abs(aligned - explainer.explain(image, 1)).max() > 1e-3
