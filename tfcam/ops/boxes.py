"""Boxes: their formats, how far two overlap, and the best of those that do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import tensorflow as tf

_Sides: TypeAlias = Callable[[Any, Any, Any, Any], tuple[Any, Any, Any, Any]]

#: To left, top, right, bottom from four numbers, and back.
_FORMATS: dict[str, tuple[_Sides, _Sides]] = {
    "xyxy": (lambda x1, y1, x2, y2: (x1, y1, x2, y2), lambda x1, y1, x2, y2: (x1, y1, x2, y2)),
    "yxyx": (lambda y1, x1, y2, x2: (x1, y1, x2, y2), lambda x1, y1, x2, y2: (y1, x1, y2, x2)),
    "xywh": (lambda x, y, w, h: (x, y, x + w, y + h), lambda x1, y1, x2, y2: (x1, y1, x2 - x1, y2 - y1)),
    "center_xywh": (
        lambda x, y, w, h: (x - w / 2, y - h / 2, x + w / 2, y + h / 2),
        lambda x1, y1, x2, y2: ((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1),
    ),
}
#: What boxes may be given as, by Keras' names; ``"rel_..."``: as shares of the image.
BOX_FORMATS = (*_FORMATS, *(f"rel_{name}" for name in _FORMATS))


def to_corners(boxes: tf.Tensor, box_format: str, size: tf.Tensor) -> tf.Tensor:
    """Return boxes ``(..., 4)`` of this format as left, top, right, bottom in pixels of images ``(height, width)``."""
    corners = tf.stack(_FORMATS[box_format.removeprefix("rel_")][0](*tf.unstack(boxes, axis=-1)), axis=-1)
    return corners * _scale(size) if box_format.startswith("rel_") else corners


def from_corners(boxes: tf.Tensor, box_format: str, size: tf.Tensor) -> tf.Tensor:
    """Return boxes ``(..., 4)``, left, top, right, bottom in pixels of images ``(height, width)``, in this format."""
    boxes = boxes / _scale(size) if box_format.startswith("rel_") else boxes
    return tf.stack(_FORMATS[box_format.removeprefix("rel_")][1](*tf.unstack(boxes, axis=-1)), axis=-1)


def _scale(size: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.tile(tf.reverse(size, [0]), [2]), tf.float32)


def iou(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Return the intersection over union ``(...)`` of boxes ``(..., 4)`` as left, top, right, bottom."""
    low, high = tf.maximum(first[..., :2], second[..., :2]), tf.minimum(first[..., 2:], second[..., 2:])
    shared = area(low, high)
    return tf.math.divide_no_nan(
        shared, area(first[..., :2], first[..., 2:]) + area(second[..., :2], second[..., 2:]) - shared
    )


def area(low: tf.Tensor, high: tf.Tensor) -> tf.Tensor:
    """Return the areas ``(...)`` of boxes between two corners ``(..., 2)``."""
    return tf.reduce_prod(tf.nn.relu(high - low), axis=-1)


def box_masks(boxes: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Return which pixels ``(..., height, width)`` of images of this size have their middle in boxes ``(..., 4)``."""
    rows, columns = (tf.range(tf.cast(size[axis], tf.float32)) + 0.5 for axis in (0, 1))
    left, top, right, bottom = tf.unstack(boxes[..., None], axis=-2)
    inside = (rows >= top) & (rows < bottom), (columns >= left) & (columns < right)
    return inside[0][..., :, None] & inside[1][..., None, :]


def best_of_overlapping(
    boxes: tf.Tensor, scores: tf.Tensor, k: int, most_overlap: float, threshold: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the numbers ``(N, k)`` of the k best boxes that do not overlap better ones, and which are there.

    Parameters
    ----------
    boxes : tf.Tensor
        ``(N, A, 4)`` as left, top, right, bottom.
    scores : tf.Tensor
        ``(N, A)``; none below the threshold is taken.
    k : int
    most_overlap : float
        The intersection over union above which two boxes are of one object.
    threshold : float
    """

    def of_one(pair: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        kept, count = tf.image.non_max_suppression_padded(
            pair[0], pair[1], k, most_overlap, threshold, pad_to_max_output_size=True
        )
        return kept, tf.range(k) < count

    return tf.map_fn(of_one, (boxes, scores), fn_output_signature=(tf.int32, tf.bool))  # type: ignore[no-any-return]
