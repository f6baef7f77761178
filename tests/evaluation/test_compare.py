"""Many methods of the same images, from one run."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from family_methods import Ablation, MeanActivation
from oracle import same
from small_models import LABELS, net

import tfcam

PASSES = ("forward", "backward")


def test_all_that_need_one_pass_are_compared_unless_some_are_named(model, images):
    wanted = {n for n, m in tfcam.METHODS.items() if m.cost_class in PASSES and not m.needs}
    assert set(tfcam.compare(model, images, 1)) == wanted
    assert {"grad-cam", "eigen-cam", "layer-cam"} < wanted and "cam" not in wanted and "shapley-cam" not in wanted
    assert list(tfcam.compare(model, images, 1, ["XGrad-CAM", tfcam.EigenCAM])) == ["xgrad-cam", "eigen-cam"]
    assert list(tfcam.compare(model, images, 1, "fem")) == ["fem"]


def test_explainers_bring_their_options_and_layers(model, images):
    smooth = tfcam.GradCAM(model, smooth="augment")
    both = tfcam.LayerCAM(model, conv_layer=["first", "second"])
    maps = tfcam.compare(model, images, LABELS, ["grad-cam", smooth, both, Ablation, MeanActivation(model)])
    assert list(maps) == ["grad-cam", "grad-cam 2", "layer-cam", "Ablation", "MeanActivation"]
    same(maps["grad-cam 2"], smooth.explain(images, LABELS).numpy())
    same(maps["layer-cam"], both.explain(images, LABELS).numpy())
    same(maps["Ablation"], Ablation(model).explain(images, LABELS).numpy())


def test_one_forward_and_one_backward_pass_serve_all(model, images, monkeypatch):
    from tfcam.engine import Run

    passes = {"forward": 0, "backward": 0}
    call, backward = model.get_layer("first").call, Run._backward

    def counted_call(*arguments, **named):
        passes["forward"] += 1
        return call(*arguments, **named)

    def counted_backward(*arguments, **named):
        passes["backward"] += 1
        return backward(*arguments, **named)

    # All explainers, and the comparison of them, are of one trace: the layers are found in the run that is explained.
    monkeypatch.setattr(model.get_layer("first"), "call", counted_call)
    monkeypatch.setattr(Run, "_backward", counted_backward)
    names = ["grad-cam", "xgrad-cam", "hires-cam", "layer-cam", "eigen-grad-cam", "eigen-cam"]
    tfcam.compare(model, images, LABELS, names)
    assert passes == {"forward": 1, "backward": 1}


def test_batches_datasets_and_options_are_those_of_explain(model, images):
    dataset = tf.data.Dataset.from_tensor_slices((images, LABELS))
    maps = tfcam.compare(model, dataset, None, ["grad-cam", "fem"], batch_size=2, conv_layer="first", normalize=True)
    expected = tfcam.GradCAM(model, conv_layer="first").explain(images, LABELS, normalize=True).numpy()
    same(maps["grad-cam"], expected)
    raw = tfcam.compare(model, images, LABELS, ["grad-cam", "fem"], resize=False)
    assert {one.shape for one in maps.values()} == {(5, 16, 12, 1)}
    assert {one.shape for one in raw.values()} == {(5, 8, 6, 1)}


def test_the_operator_and_the_output_are_shared(model, images):
    contrast = tfcam.compare(model, images, LABELS, ["grad-cam", "finer-cam"])["finer-cam"]
    same(tfcam.compare(model, images, LABELS, ["grad-cam"], operator="contrast")["grad-cam"], contrast.numpy())
    explainer = tfcam.GradCAM(model, operator="contrast")
    same(tfcam.compare(model, images, LABELS, [explainer], operator="contrast")["grad-cam"], contrast.numpy())
    with pytest.raises(ValueError, match="The explainer 'grad-cam' explains another score than is compared"):
        tfcam.compare(model, images, LABELS, [explainer])


def test_a_model_that_declares_no_inputs_is_compared_too(images):
    class Plain(keras.Model):
        def __init__(self):
            super().__init__()
            self.conv, self.dense = keras.layers.Conv2D(4, 3, activation="relu"), keras.layers.Dense(4)

        def call(self, x):
            return self.dense(tf.reduce_mean(self.conv(x), axis=[1, 2]))

    plain = Plain()
    maps = tfcam.compare(plain, images, LABELS, ["grad-cam", "cam"])
    same(maps["grad-cam"], tfcam.GradCAM(plain).explain(images, LABELS).numpy())
    same(maps["cam"], maps["grad-cam"].numpy() * 14 * 10)


def test_a_finding_is_told_once_and_of_whom(images):
    inputs = keras.Input((16, 12, 3))
    x = keras.layers.Conv2D(6, 3, name="raw")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(x)))
    with pytest.warns(tfcam.ExplanationWarning, match="xgrad-cam: the activations are partly negative") as caught:
        tfcam.compare(model, images, 0, ["grad-cam", "xgrad-cam"])
    assert len(caught) == 1
    model.layers[-1].kernel.assign(tf.zeros_like(model.layers[-1].kernel))
    with pytest.warns(tfcam.ExplanationWarning, match="grad-cam, hires-cam: all gradients are exactly zero") as caught:
        tfcam.compare(model, images, 0, ["grad-cam", "hires-cam"])
    assert len(caught) == 1


def test_what_cannot_be_compared_is_refused(model, images):
    with pytest.raises(ValueError, match="methods=\\[\\] compares nothing"):
        tfcam.compare(model, images, methods=[])
    with pytest.raises(ValueError, match="is of model 'small', not 'other'"):
        tfcam.compare(keras.Model(model.inputs, model.outputs, name="other"), images, methods=[tfcam.GradCAM(model)])
    with pytest.raises(TypeError, match="methods are names, Explainer classes or explainers, got int"):
        tfcam.compare(model, images, methods=[3])
    with pytest.raises(ValueError, match=r"'grad-cm' is no method\. Did you mean 'grad-cam'"):
        tfcam.compare(model, images, methods=["grad-cm"])


@pytest.mark.parametrize("spelling", ["xgrad-cam", "XGradCAM", "XGrad-CAM", "xgrad_cam"])
def test_a_method_is_found_however_it_is_spelled(spelling):
    assert tfcam.get_method(spelling) is tfcam.XGradCAM
    assert tfcam.get_method("Grad-CAM++") is tfcam.GradCAMPlusPlus


def test_a_comparison_is_drawn_with_a_panel_for_each_method():
    model = net(4)
    images = np.random.default_rng(0).uniform(0, 1, (2, 16, 12, 3)).astype("float32")
    maps = tfcam.compare(model, images, 1)
    titles = [ax.get_title() for ax in tfcam.plot(images, maps).axes]
    assert all(titles.count(name) == 2 for name in ("grad-cam", "eigen-cam"))


@pytest.mark.parametrize("operator", ["regression", "doubt", tfcam.Ordinal(), lambda model, x, y: model(x)[:, 0]])
def test_the_default_methods_are_those_that_the_operator_has_a_meaning_for(model, images, operator):
    found = tfcam.compare(model, images, operator=operator)
    assert {"grad-cam", "hires-cam", "eigen-cam"} < set(found) and "finer-cam" not in found
    assert "finer-cam" in tfcam.compare(model, images)
    metrics = {"deletion": {"percent": 50}}
    ranked = tfcam.evaluate(model, images, metrics=metrics, operator="regression", resamples=10)
    assert {row.method for row in ranked.rows} == set(found)


def test_methods_of_detections_bring_their_operator():
    from detectors import SIZE, pyramid_detector

    images = np.random.default_rng(0).uniform(0, 1, (2, SIZE, SIZE, 3)).astype("float32")
    model = pyramid_detector()
    maps = tfcam.compare(model, images, methods=["odam"])
    np.testing.assert_allclose(maps["odam"], tfcam.ODAM(model).explain(images), atol=1e-6)
    measures = {"deletion": {"percent": 50}}
    told = [
        tfcam.evaluate(model, images, None, "odam", metrics=measures, operator=operator).per_sample
        for operator in (None, "detection")
    ]
    np.testing.assert_equal(told[0], told[1])
    with pytest.raises(ValueError, match="ODAM explains a detection, and operator='regression' is none"):
        tfcam.compare(model, images, methods="odam", operator="regression")
