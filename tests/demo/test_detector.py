"""The embedded detector, and what it is trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tfcam
from tfcam.demo import load_model, make_scenes
from tfcam.demo.detector_training import assigned, boxes_of, found_share, objects_of, overlap


def test_scenes_of_one_class_are_the_only_ones_with_a_class_twice() -> None:
    """Without it a detector may tell objects apart by their class alone."""
    alike, different = make_scenes(5, 3, alike=True).labels, make_scenes(5, 3).labels
    assert all(len(set(labels)) == 1 for labels in alike.tolist())
    assert all(len(set(labels)) == 3 for labels in different.tolist())


def test_a_box_is_as_tight_as_its_mask() -> None:
    """Its mask is empty outside, and on each of its four sides it is not."""
    scenes = make_scenes(4, 2)
    for mask, box in zip(scenes.masks.reshape(-1, 96, 96), boxes_of(scenes).reshape(-1, 4).astype(int), strict=True):
        left, top, right, bottom = box
        inside = mask[top:bottom, left:right]
        assert inside.sum() == mask.sum()
        assert inside[0].any() and inside[-1].any() and inside[:, 0].any() and inside[:, -1].any()


def test_each_object_is_asked_of_cells_near_its_middle() -> None:
    """Some cells are asked for each object, and for its own box and class; the empty rows ask for nothing."""
    scenes = make_scenes(3, 2)
    _, objects = objects_of([scenes])
    boxes, classes = (one.numpy() for one in assigned(objects))
    for row in range(3):
        for box, label in zip(boxes_of(scenes)[row], scenes.labels[row], strict=True):
            asked = classes[row] == label
            assert asked.any()
            np.testing.assert_array_equal(boxes[row][asked], np.tile(box, (asked.sum(), 1)))
        assert set(classes[row]) == {-1.0, *scenes.labels[row]}


@pytest.mark.parametrize(
    ("other", "iou", "apart"),
    [([0, 0, 4, 2], 1.0, 0.0), ([2, 0, 6, 2], 1 / 3, 0.0), ([4, 2, 6, 4], 0.0, 12 / 24), ([5, 0, 6, 2], 0.0, 2 / 12)],
)
def test_overlap_of_boxes(other: list[float], iou: float, apart: float) -> None:
    """Counted by hand."""
    found = overlap(np.float32([0, 0, 4, 2]), np.float32(other))
    np.testing.assert_allclose(found, [iou, apart], rtol=1e-6)


@pytest.mark.parametrize(("alike", "least"), [(False, 0.85), (True, 0.8)])
def test_the_detector_is_small_and_right_on_scenes_it_has_not_seen(alike: bool, least: float) -> None:
    """Most of three objects are found, and hardly a detection is of none."""
    path = Path(tfcam.demo.__file__).with_name("detector.npz")
    assert path.stat().st_size < 1_000_000
    found, right = found_share(load_model("detector"), make_scenes(100, 3, seed=5, alike=alike))
    assert found > least and right > 0.95
