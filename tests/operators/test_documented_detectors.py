"""The program of docs/tasks/detection.md for detectors of plain layers: a YOLO and a DETR."""

import numpy as np
from detectors import SIZE, detr_detector, pictures, yolo_detector
from documents import ROOT, blocks

import tfcam


def test_a_yolo_and_a_detr_are_explained_by_the_program_of_the_page():
    page = (ROOT / "docs/tasks/detection.md").read_text("utf-8")
    [code] = [one for one in blocks(page, "py") if "yolo" in one]
    assert len([line for line in code.splitlines() if line]) <= 6
    detr = detr_detector()
    kernel, bias = detr.get_layer("logits").get_weights()
    # Sure of something, as a trained one is.
    detr.get_layer("logits").set_weights([kernel, bias + np.float32([4, 0, 0, 0, 0])])
    names = {"tfcam": tfcam, "yolo": yolo_detector(), "detr": detr, "images": pictures()}
    exec(code, names)
    for name in ("maps_of_yolo", "maps_of_detr"):
        maps = names[name].numpy()
        assert maps.shape == (2, SIZE, SIZE, 1) and np.isfinite(maps).all() and maps.max() > 0
