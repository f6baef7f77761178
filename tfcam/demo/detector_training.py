"""Train the embedded detector: which cell is asked for which object, and what it is punished for."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfcam.demo.detector import STRIDES, centres
from tfcam.demo.scenes import CLASSES, SIZE, Scenes
from tfcam.ops.boxes import area, iou

#: The longest side, in pixels, of the objects of each level but the last.
_SIDES = (36.0, 54.0)
#: Within how many cells of an object's middle a cell is asked for it.
_NEAR = 1.5


def boxes_of(scenes: Scenes) -> np.ndarray:
    """Return the box ``(N, objects, 4)`` round what is seen of each object: left, top, right, bottom in pixels."""
    rows, columns = np.any(scenes.masks, axis=-1), np.any(scenes.masks, axis=-2)
    top, bottom = rows.argmax(axis=-1), SIZE - rows[..., ::-1].argmax(axis=-1)
    left, right = columns.argmax(axis=-1), SIZE - columns[..., ::-1].argmax(axis=-1)
    return np.stack([left, top, right, bottom], axis=-1).astype(np.float32)


def assigned(objects: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the box ``(N, A, 4)`` and the class ``(N, A)`` that each cell is asked for; -1: none.

    Objects are ``(N, objects, 5)``: a box and a class, which is -1 where there is none. Each is asked for at the level
    of its size, in the cells near its middle; where two are near, the smaller one.
    """
    boxes, classes = objects[..., :4], objects[..., 4]
    strides = np.repeat(STRIDES, [(SIZE // stride) ** 2 for stride in STRIDES]).astype(np.float32)
    levels = np.repeat(np.arange(len(STRIDES)), [(SIZE // stride) ** 2 for stride in STRIDES])
    sides = boxes[..., 2:] - boxes[..., :2]
    level = tf.searchsorted(tf.constant(_SIDES), tf.reshape(tf.reduce_max(sides, axis=-1), [-1]))
    level = tf.reshape(level, tf.shape(classes))
    middles = (boxes[..., :2] + boxes[..., 2:]) / 2.0
    away = tf.reduce_max(tf.abs(centres()[:, None] - middles[:, None]), axis=-1)
    is_asked = (away <= _NEAR * strides[:, None]) & (level[:, None] == levels[:, None]) & (classes[:, None] >= 0)
    areas = tf.where(is_asked, tf.reduce_prod(sides, axis=-1)[:, None], np.inf)
    chosen = tf.argmin(areas, axis=-1)
    asked = tf.reduce_any(is_asked, axis=-1)
    return tf.gather(boxes, chosen, batch_dims=1), tf.where(asked, tf.gather(classes, chosen, batch_dims=1), -1.0)


def overlap(first: tf.Tensor, second: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the intersection over union of boxes ``(..., 4)``, and how much of the box around both is in neither."""
    found = iou(first, second)
    union = (area(first[..., :2], first[..., 2:]) + area(second[..., :2], second[..., 2:])) / (1.0 + found)
    low, high = tf.minimum(first[..., :2], second[..., :2]), tf.maximum(first[..., 2:], second[..., 2:])
    around = area(low, high)
    return found, tf.math.divide_no_nan(around - union, around)


class Training(keras.Model):
    """A detector as it is trained: the focal loss of the classes, and the generalised overlap of the boxes."""

    def __init__(self, detector: keras.Model) -> None:
        super().__init__()
        self.detector = detector

    def call(self, images: tf.Tensor, training: bool = False) -> dict[str, tf.Tensor]:
        """Return what the detector puts out."""
        return self.detector(images, training=training)  # type: ignore[no-any-return]

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, *_: Any, **__: Any) -> tf.Tensor:
        """Return the loss of a batch of objects ``(N, objects, 5)``."""
        boxes, classes = assigned(y)
        asked = tf.cast(classes >= 0, tf.float32)
        targets = tf.one_hot(tf.cast(classes, tf.int32), len(CLASSES))
        focal = keras.losses.BinaryFocalCrossentropy(apply_class_balancing=True, reduction="sum")
        iou, apart = overlap(boxes, y_pred["boxes"])
        # Keras takes the mean over the last axis: of one number here.
        lost = focal(targets[..., None], y_pred["classes"][..., None])
        count = tf.maximum(tf.reduce_sum(asked), 1.0)
        return (lost + 2.0 * tf.reduce_sum((1.0 - iou + apart) * asked)) / count


def objects_of(parts: list[Scenes]) -> tuple[np.ndarray, np.ndarray]:
    """Return the images of several parts, and their objects ``(N, 3, 5)``, filled up with objects of class -1."""
    rows = [np.concatenate([boxes_of(part), part.labels[..., None].astype(np.float32)], axis=-1) for part in parts]
    filled = [np.pad(one, [(0, 0), (0, 3 - one.shape[1]), (0, 0)], constant_values=-1.0) for one in rows]
    return np.concatenate([part.images for part in parts]), np.concatenate(filled)


def _recoloured(image: tf.Tensor, objects: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Exchange the colours of a scene, and mirror it with its boxes."""
    image = tf.gather(tf.cast(image, tf.float32), tf.random.shuffle(tf.range(3)), axis=-1)
    left, top, right, bottom, label = tf.unstack(objects, axis=-1)
    mirrored = tf.stack([SIZE - right, top, SIZE - left, bottom, label], axis=-1)
    is_mirrored = tf.random.uniform(()) < 0.5
    return tf.where(is_mirrored, image[:, ::-1], image), tf.where(is_mirrored, mirrored, objects)


def fit(detector: keras.Model, parts: list[Scenes], epochs: int, rate: float, batch: int) -> None:
    """Train a detector on scenes."""
    images, objects = objects_of(parts)
    dataset = tf.data.Dataset.from_tensor_slices((images, objects)).shuffle(len(images), seed=0)
    dataset = dataset.map(_recoloured).batch(batch).prefetch(2)
    model = Training(detector)
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, epochs * len(dataset))))
    model.fit(dataset, epochs=epochs, verbose=2)


def found_share(detector: keras.Model, scenes: Scenes, threshold: float = 0.5) -> tuple[float, float]:
    """Return the share of objects that are found, class and half of the box right, and of detections that are one."""
    outputs = detector.predict(scenes.images.astype("float32"), verbose=0)
    detections = tf.image.combined_non_max_suppression(
        outputs["boxes"][:, :, None], outputs["classes"], 20, 20, score_threshold=threshold, clip_boxes=False
    )
    boxes, wanted = boxes_of(scenes), tf.cast(scenes.labels, tf.float32)
    iou, _ = overlap(detections.nmsed_boxes[:, :, None], tf.constant(boxes)[:, None])
    is_there = tf.range(20)[None] < detections.valid_detections[:, None]
    matches = (iou >= 0.5) & (detections.nmsed_classes[:, :, None] == wanted[:, None]) & is_there[:, :, None]
    found, right = tf.reduce_any(matches, axis=1), tf.boolean_mask(tf.reduce_any(matches, axis=2), is_there)
    return float(tf.reduce_mean(tf.cast(found, tf.float32))), float(tf.reduce_mean(tf.cast(right, tf.float32)))
