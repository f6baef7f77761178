"""The embedded detector, and what it is trained on."""

from __future__ import annotations

import numpy as np
import pytest

from tfcam.demo import make_scenes
from tfcam.demo.detector_training import assigned, boxes_of, objects_of, overlap


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
