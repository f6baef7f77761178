"""What speaks for the score, what against it, and both."""

import keras
import numpy as np
import pytest
from family_methods import Ablation, MeanActivation
from oracle import same
from small_models import FEWER, KINDS, LABELS

import tfcam

#: Those that explain the operator's score as it is.
PLAIN = [
    name
    for name, method in tfcam.METHODS.items()
    if name in KINDS and method.explains_scores and method.rescored is tfcam.Explainer.rescored
]


def test_what_is_shown_is_the_part_of_the_signed_map_that_speaks_for_the_score(explained_by, images):
    for needs in ("", "pooled head", "attention"):
        methods = [method for method in map(tfcam.get_method, KINDS) if method.needs == needs]
        model = explained_by(methods[0])

        def maps(model=model, methods=methods, **options):
            each = [method(model, **FEWER.get(method.name, {}), **options) for method in methods]
            return tfcam.compare(model, images, LABELS, each, resize=False)

        raw, plain, absolute = maps(signed=True), maps(), maps(absolute=True)
        for name in raw:
            same(plain[name], np.maximum(raw[name], 0))
            same(absolute[name], np.abs(raw[name]))


@pytest.mark.parametrize("name", PLAIN)
def test_what_speaks_against_a_score_speaks_for_its_negation(name, explained_by, images):
    method = tfcam.METHODS[name]
    model = explained_by(method)

    def negation(model, x, y):
        return -keras.ops.sum(model(x) * y, axis=-1)

    one_hot = np.eye(4, dtype="float32")[LABELS]
    fewer = FEWER.get(name, {})
    against = method(model, negative=True, output_layer=-1, **fewer).explain(images, one_hot)
    same(against, method(model, operator=negation, **fewer).explain(images, one_hot).numpy())


@pytest.mark.parametrize("method", [tfcam.FinerCAM, tfcam.ShapleyCAM])
def test_what_speaks_against_a_score_that_a_method_makes_itself(method, model, images):
    raw = method(model, signed=True).explain(images, LABELS, resize=False).numpy()
    same(method(model, negative=True).explain(images, LABELS, resize=False), np.maximum(-raw, 0))


def test_what_perturbations_tell_can_speak_against_the_score_too(model, images):
    raw = Ablation(model, signed=True).explain(images, LABELS, resize=False).numpy()
    assert raw.min() < 0 < raw.max()
    same(Ablation(model, negative=True, signed=True).explain(images, LABELS, resize=False), -raw)


def test_a_signed_map_is_scaled_by_its_largest_value_of_either_sign(model, images):
    explainer = tfcam.HiResCAM(model, signed=True)
    raw, scaled = explainer.explain(images, LABELS).numpy(), explainer.explain(images, LABELS, normalize=True).numpy()
    same(scaled, raw / np.abs(raw).max(axis=(1, 2, 3), keepdims=True))
    assert scaled.min() < 0


def test_options_that_make_no_sense_are_refused(model):
    with pytest.raises(ValueError, match="absolute=True gives maps without their sign"):
        tfcam.GradCAM(model, absolute=True, signed=True)
    with pytest.raises(ValueError, match="MeanActivation explains no class"):
        MeanActivation(model, negative=True)
