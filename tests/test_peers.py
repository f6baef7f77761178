"""What docs/migrating.md shows and says of other libraries, with these libraries: ``make peers``."""

import keras
import numpy as np
import pytest
from documents import ROOT, run_python

import tfcam
from tfcam.demo import CLASSES, load_model, make_scenes

WHERE = "the peers have an environment of their own: make peers"
Xplique = pytest.importorskip("xplique.attributions", reason=WHERE).GradCAM
Rise = pytest.importorskip("xplique.attributions", reason=WHERE).Rise
Gradcam = pytest.importorskip("tf_keras_vis.gradcam", reason=WHERE).Gradcam
Scorecam = pytest.importorskip("tf_keras_vis.scorecam", reason=WHERE).Scorecam
TfExplain = pytest.importorskip("tf_explain.core.grad_cam", reason=WHERE).GradCAM


@pytest.fixture(scope="module")
def logits():
    model = load_model()
    return keras.Model(model.inputs, model.get_layer("logits").output)


@pytest.fixture
def scenes():
    made = make_scenes(4)
    return made.images.astype("float32"), made.labels[:, 0], keras.utils.to_categorical(made.labels[:, 0], len(CLASSES))


def tf_keras_vis(model, images, labels, **options):
    def score(outputs):
        return [outputs[image, label] for image, label in enumerate(labels)]

    return np.asarray(Gradcam(model)(score, images, normalize_cam=False, **options))


def test_the_page_runs_as_it_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = run_python((ROOT / "docs/migrating.md").read_text(encoding="utf-8"), "migrating.md")
    assert names["theirs"].ndim == 3 and names["theirs"].dtype == np.uint8
    assert (tmp_path / "epoch_1.png").stat().st_size > 10_000


def test_xplique_explains_the_output_as_it_is_whatever_it_is_told(logits, scenes):
    images, labels, one_hot = scenes
    model = load_model()
    plain = Xplique(model, conv_layer="relu5")(images, one_hot)
    np.testing.assert_array_equal(Xplique(model, output_layer=-2, conv_layer="relu5")(images, one_hot), plain)

    def negated(model, inputs, targets):
        return -model(inputs)[:, 0]

    np.testing.assert_array_equal(Xplique(model, operator=negated, conv_layer="relu5")(images, one_hot), plain)
    ours = tfcam.GradCAM(model, output_layer=-1, conv_layer="relu5").explain(images, labels)
    np.testing.assert_allclose(np.maximum(plain, 0), ours, atol=1e-5 * np.max(ours))
    of_logits = tfcam.GradCAM(model, conv_layer="relu5").explain(images, labels)
    theirs = Xplique(logits, conv_layer="relu5")(images, one_hot)
    np.testing.assert_allclose(np.maximum(theirs, 0), of_logits, atol=1e-5 * np.max(of_logits))
    assert np.min(theirs) < 0 <= np.min(of_logits)


def test_xpliques_own_layer_is_the_convolution_before_the_activation(scenes):
    images, _, one_hot = scenes
    model = load_model()
    last = [layer.name for layer in model.layers if hasattr(layer, "filters")][-1]
    np.testing.assert_array_equal(Xplique(model)(images, one_hot), Xplique(model, conv_layer=last)(images, one_hot))
    assert tfcam.GradCAM(model).conv_layer == "relu5" != last


def test_tf_keras_vis_seeks_a_convolution_where_it_is_given_an_activation(logits, scenes):
    images, labels, _ = scenes
    theirs = tf_keras_vis(logits, images, labels, penultimate_layer="relu5", expand_cam=False)
    of_convolution = tfcam.GradCAM(logits, conv_layer="conv5").explain(images, labels, resize=False).numpy()[..., 0]
    np.testing.assert_allclose(theirs, of_convolution, atol=1e-5 * of_convolution.max())


def test_tf_keras_vis_gives_the_same_maps_and_resizes_them_from_corner_to_corner(logits, scenes):
    from scipy.ndimage import zoom

    images, labels, _ = scenes
    options = {"penultimate_layer": "relu5", "seek_penultimate_conv_layer": False}
    ours = tfcam.GradCAM(logits, conv_layer="relu5").explain(images, labels, resize=False).numpy()[..., 0]
    theirs = tf_keras_vis(logits, images, labels, expand_cam=False, **options)
    np.testing.assert_allclose(theirs, ours, atol=1e-5 * ours.max())
    resized = tf_keras_vis(logits, images, labels, **options)
    np.testing.assert_allclose(resized, [zoom(one, 96 / len(one), order=1) for one in ours], atol=1e-4 * ours.max())


def test_rise_is_xpliques_less_a_constant(scenes):
    images, labels, one_hot = scenes
    model = load_model()
    theirs = np.asarray(Rise(model, batch_size=200)(images[:1], one_hot[:1]))
    ours = tfcam.RISE(model, signed=True).explain(images[:1], labels[:1]).numpy()
    assert np.corrcoef(theirs.ravel(), ours.ravel())[0, 1] > 0.9
    assert theirs.min() > 0 > ours.min()


def test_tf_keras_vis_masks_each_image_by_the_channels_of_all(logits, scenes):
    images, labels, _ = scenes

    def theirs(images, labels):
        def score(outputs):
            return [outputs[image, label] for image, label in enumerate(np.resize(labels, len(outputs)))]

        options = {"penultimate_layer": "relu5", "seek_penultimate_conv_layer": False, "max_N": 10}
        return np.asarray(Scorecam(logits)(score, images, **options))

    explainer = tfcam.FasterScoreCAM(logits, conv_layer="relu5", channels=10)
    assert np.abs(theirs(images, labels)[0] - theirs(images[:1], labels[:1])[0]).max() > 0.01
    together, alone = explainer.explain(images, labels)[0], explainer.explain(images[:1], labels[:1])[0]
    np.testing.assert_allclose(together, alone, atol=1e-5 * np.max(alone))


def test_tf_explain_cannot_choose_a_layer(scenes):
    images, labels, _ = scenes
    with pytest.raises(AttributeError, match="output_shape"):
        TfExplain().explain((images, None), load_model(), class_index=int(labels[0]))
