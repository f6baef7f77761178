"""Detections that cannot be explained: what is said."""

import pytest
from detectors import detector, operator_of, pictures

import tfcam

BAD = {
    "shares": ({"boxes": [[0.1, 0.2, 0.6, 0.7]]}, {}, "lies within one pixel: if it is in shares of the image, give"),
    "outside": ({"boxes": [[40, 40, 60, 60]]}, {}, "lies outside of its image of 32 x 32 pixels"),
    "no area": ({"boxes": [[20, 20, 4, 4]]}, {}, "has no area: give tfcam.Detection(box_format="),
    "no class": ({"boxes": [[4, 4, 20, 20]], "labels": [4]}, {}, "class 4 does not exist: the detector has .* 0 to 3"),
    "filled up": ({"boxes": [[4, 4, 20, 20]], "labels": [-1]}, {}, "image 0 of the batch has no detection"),
    "shape": ({"boxes": [[4, 4, 20]]}, {}, r"have the shape \(1, 3\); expected \(1, 4\), or \(1, M, 4\)"),
    "keys": ({"masks": [[4, 4, 20, 20]]}, {}, r"have the keys \['masks'\]; expected 'boxes'"),
    "unsure": (None, {"threshold": 0.99}, "no detection above the threshold=0.99: the most confident, of class"),
    "its own": (None, {"of": "iou"}, "is the prediction's own, where the overlap is at its most"),
    "decoder": (None, {"decode": lambda outputs, images: outputs["boxes"]}, "gives .* of outputs .*; expected boxes"),
    "rows": (
        None,
        {"decode": lambda outputs, images: (outputs["boxes"][:, 1:], outputs["classes"])},
        "expected boxes .N, A, 4. as x1, y1, x2, y2 in pixels, and class logits .N, A, C., one row a prediction",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_be_explained_is_said(kind):
    targets, options, message = BAD[kind]
    with pytest.raises(ValueError, match=message.replace("(box_format", r"\(box_format")):
        tfcam.ODAM(detector("pyramid"), operator=operator_of("pyramid", **options)).explain(pictures(1), targets)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"of": "box"}, "of='box' is none of"),
        ({"decode": "yolo"}, "decode='yolo' is none of"),
        ({"box_format": "coco"}, "box_format='coco' is none of"),
    ],
)
def test_options_that_there_are_not_are_said(options, message):
    with pytest.raises(ValueError, match=message):
        tfcam.Detection(**options)


def test_a_model_that_is_no_detector_is_said(model):
    with pytest.raises(ValueError, match=r"none of the detectors that are recognised .* give tfcam.Detection\(decode="):
        tfcam.ODAM(model)


def test_methods_of_detections_refuse_other_operators():
    with pytest.raises(ValueError, match="ODAM explains a detection, and operator='segmentation' is none"):
        tfcam.ODAM(detector("pyramid"), operator="segmentation")
    with pytest.raises(
        TypeError, match="explain_detections explains those of a detector, and operator='classification'"
    ):
        tfcam.GradCAM(detector("pyramid"), output_layer="classes").explain_detections(pictures(1))


def test_of_several_detections_each_is_checked_whatever_is_beside_it():
    """The first image has none there, which may be; the box of the second lies outside, which may not."""
    several = {"boxes": [[[0, 0, 0, 0]], [[40, 40, 60, 60]]], "classes": [[-1], [1]]}
    with pytest.raises(ValueError, match=r"the box of image 1 of the batch, .* lies outside of its image"):
        tfcam.ODAM(detector("pyramid"), operator=operator_of("pyramid")).explain_detections(pictures(), several)
    with pytest.raises(ValueError, match="none of the images has a detection"):
        tfcam.ODAM(detector("pyramid")).explain_detections(pictures(), several | {"classes": [[-1], [-1]]})
    with pytest.raises(ValueError, match=r"expected a dict of 'boxes' \(N, T, 4\) and 'classes' or 'labels' \(N, T\)"):
        tfcam.ODAM(detector("pyramid")).explain_detections(pictures(), [[4, 4, 20, 20]])
