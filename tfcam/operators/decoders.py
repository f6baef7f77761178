"""From what detectors put out to boxes and class logits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import tensorflow as tf

from tfcam.graph.logits import before_activation, is_probability
from tfcam.operators.base import ForwardPass
from tfcam.ops.boxes import from_corners, to_corners

#: From outputs and images to boxes ``(N, A, 4)``, left, top, right, bottom in pixels, and class logits ``(N, A, C)``.
Decode: TypeAlias = Callable[[Any, Any], tuple[tf.Tensor, tf.Tensor]]
#: KerasCV's YOLOv8 tells each side as a distribution over so many strides.
_BINS = 16
#: The strides of its levels.
_STRIDES = (8, 16, 32)


class Decoder(NamedTuple):
    """A kind of detector.

    Attributes
    ----------
    fits : callable
        Whether outputs, TensorSpecs or tensors, are those of such a detector.
    decode : callable
        From a run to boxes ``(N, A, 4)`` and class logits ``(N, A, C)``.
    """

    fits: Callable[[Any], bool]
    decode: Callable[[ForwardPass], tuple[tf.Tensor, tf.Tensor]]


def image_size(run: ForwardPass) -> tf.Tensor:
    """Return height and width of the images, the first input, whose channels are last."""
    return tf.shape(tf.nest.flatten(run.inputs)[0])[1:3]


def _has_keys(*keys: str, sizes: int | None = None) -> Callable[[Any], bool]:
    """Return the test whether outputs are a dict with these keys, the first of them with so many numbers a box."""
    return lambda outputs: (
        isinstance(outputs, Mapping)
        and all(key in outputs for key in keys)
        and (sizes is None or outputs[keys[0]].shape[-1] == sizes)
    )


def _decoded(run: ForwardPass) -> tuple[tf.Tensor, tf.Tensor]:
    """Boxes in pixels, and probabilities."""
    return run.outputs["boxes"], logits_of(run.outputs["classes"])


def _retinanet(run: ForwardPass) -> tuple[tf.Tensor, tf.Tensor]:
    """KerasHub's ``RetinaNetObjectDetector``: deltas of anchors."""
    generator, size = run.model.anchor_generator, image_size(run)
    anchors = tf.concat(list(generator(tf.nest.flatten(run.inputs)[0]).values()), axis=0)
    corners = to_corners(anchors, generator.bounding_box_format, size)
    middles, sizes = tf.split(from_corners(corners, "center_xywh", size), 2, axis=-1)
    moved, scaled = tf.split(run.outputs["bbox_regression"], 2, axis=-1)
    boxes = tf.concat([middles + moved * sizes, tf.exp(scaled) * sizes], axis=-1)
    return to_corners(boxes, "center_xywh", size), run.outputs["cls_logits"]


def _d_fine(run: ForwardPass) -> tuple[tf.Tensor, tf.Tensor]:
    """KerasHub's ``DFineObjectDetector``, and others after DETR: a box a query, as shares of the image."""
    return to_corners(run.outputs["pred_boxes"], "rel_center_xywh", image_size(run)), run.outputs["logits"]


def _yolov8(run: ForwardPass) -> tuple[tf.Tensor, tf.Tensor]:
    """KerasCV's ``YOLOV8Detector``: the distance of each side of a cell's box, as a distribution over strides."""
    sides, size = run.outputs["boxes"], image_size(run)
    shares = tf.nn.softmax(tf.reshape(sides, [tf.shape(sides)[0], -1, 4, _BINS]))
    distances = tf.reduce_sum(shares * tf.range(_BINS, dtype=tf.float32), axis=-1)
    middles, strides = zip(*(_cells(size, stride) for stride in _STRIDES), strict=True)
    middle, stride = tf.concat(middles, axis=0), tf.concat(strides, axis=0)
    boxes = tf.concat([middle - distances[..., :2], middle + distances[..., 2:]], axis=-1) * stride
    return boxes, logits_of(run.outputs["classes"])


def _cells(size: tf.Tensor, stride: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the middles ``(cells, 2)`` of the cells of a level in strides, and the strides ``(cells, 1)``."""
    rows, columns = (tf.range(0.5, tf.cast(size[axis] // stride, tf.float32)) for axis in (0, 1))
    middles = tf.reshape(tf.stack(tf.meshgrid(columns, rows), axis=-1), [-1, 2])
    return middles, tf.fill([tf.shape(middles)[0], 1], float(stride))


def _ultralytics(run: ForwardPass) -> tuple[tf.Tensor, tf.Tensor]:
    """Ultralytics' exports, ``(N, 4 + C, A)``: middles and sizes as shares of the image or in pixels; probabilities."""
    [output] = tf.nest.flatten(run.outputs)
    rows, size = tf.transpose(output, [0, 2, 1]), image_size(run)
    shares, pixels = (to_corners(rows[..., :4], f"{kind}center_xywh", size) for kind in ("rel_", ""))
    # No image is one pixel wide, and a share is hardly more than one.
    boxes = tf.where(tf.reduce_max(rows[..., :4]) <= 2.0, shares, pixels)
    return boxes, logits_of(rows[..., 4:], are_probabilities=True)


def _is_ultralytics(outputs: Any) -> bool:
    [first, *others] = tf.nest.flatten(outputs)
    shape = first.shape
    # More boxes than numbers a box.
    return not others and shape.rank == 3 and (shape[1] or 0) > 4 and (shape[2] is None or shape[2] > shape[1])


#: What ``decode=`` may name, in the order in which a detector is recognised.
DECODERS = {
    "retinanet": Decoder(_has_keys("bbox_regression", "cls_logits"), _retinanet),
    "d-fine": Decoder(_has_keys("pred_boxes", "logits"), _d_fine),
    "yolov8": Decoder(_has_keys("boxes", "classes", sizes=4 * _BINS), _yolov8),
    "boxes": Decoder(_has_keys("boxes", "classes", sizes=4), _decoded),
    "ultralytics": Decoder(_is_ultralytics, _ultralytics),
}


def find_decoder(outputs: Any, model_name: str) -> Decoder:
    """Return the decoder that fits outputs, TensorSpecs or tensors.

    Raises
    ------
    ValueError
        Where none does.
    """
    for decoder in DECODERS.values():
        if decoder.fits(outputs):
            return decoder
    raise ValueError(
        f"Model {model_name!r} puts out {shapes_of(outputs)}, which is none of the detectors that are recognised "
        f"({', '.join(map(repr, DECODERS))}): give tfcam.Detection(decode=...), a function of outputs and images that "
        "gives boxes (N, A, 4) as x1, y1, x2, y2 in pixels, and class logits (N, A, C)."
    )


def decoded(run: ForwardPass, decode: str | Decode | None) -> tuple[tf.Tensor, tf.Tensor]:
    """Return boxes ``(N, A, 4)`` and class logits ``(N, A, C)`` float32 of a run.

    Raises
    ------
    ValueError
        Where they have other shapes.
    """
    if callable(decode):
        found = decode(run.outputs, run.inputs)
    else:
        decoder = DECODERS[decode] if decode else find_decoder(run.outputs, getattr(run.model, "name", ""))
        found = decoder.decode(run)
    is_pair = isinstance(found, (tuple, list)) and len(found) == 2
    shapes = [tuple(part.shape) for part in tf.nest.flatten(found)]
    if not is_pair or any(len(shape) != 3 for shape in shapes) or shapes[0][2] != 4 or not _fit(*shapes):
        raise ValueError(
            f"decode={decode!r} gives {shapes} of outputs {shapes_of(run.outputs)}; expected boxes (N, A, 4) as x1, "
            "y1, x2, y2 in pixels, and class logits (N, A, C), one row a prediction."
        )
    boxes, logits = (tf.cast(part, tf.float32) for part in found)
    return boxes, logits


def _fit(boxes: tuple[Any, ...], logits: tuple[Any, ...]) -> bool:
    """Whether shapes ``(N, A, ...)`` are of as many predictions, or of a number that is not known."""
    return None in (boxes[1], logits[1]) or boxes[1] == logits[1]


def shapes_of(outputs: Any) -> Any:
    """Return the shapes of outputs, in their structure."""
    return tf.nest.map_structure(lambda output: tuple(output.shape), outputs)


def logits_of(classes: tf.Tensor, are_probabilities: bool = False) -> tf.Tensor:
    """Return the logits of classes, which may be logits themselves, unless they are known to be probabilities.

    Of probabilities what enters their sigmoid or softmax, or, where the graph does not tell that, what would give them.
    """
    if tf.executing_eagerly():
        inside = bool(tf.reduce_all((classes >= 0.0) & (classes <= 1.0)))
        return _inverted(classes) if are_probabilities or inside else classes
    logits = before_activation(classes)
    is_found = logits is not classes
    return _inverted(classes) if not is_found and (are_probabilities or is_probability(classes)) else logits


def _inverted(probabilities: tf.Tensor) -> tf.Tensor:
    clipped = tf.clip_by_value(tf.cast(probabilities, tf.float32), 1e-7, 1.0 - 1e-7)
    return tf.math.log(clipped) - tf.math.log1p(-clipped)
