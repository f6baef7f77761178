"""The score of a detection: why this box?"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import tensorflow as tf

from tfcam.operators.base import ForwardPass, NothingToExplain, Operator
from tfcam.operators.box_targets import check_box, check_class, read_detections
from tfcam.operators.decoders import DECODERS, Decode, decoded, find_decoder, image_size
from tfcam.ops.boxes import BOX_FORMATS, best_of_overlapping, box_masks, from_corners, iou, to_corners
from tfcam.ops.loops import in_turn, swapped

_SIDES = ("left", "top", "right", "bottom")
#: What ``of=`` may be.
PARTS = ("class", *_SIDES, "iou")
#: From which intersection over union on a box is the prediction's own, which may lie beyond the image.
_SAME = 1.0 - 1e-4
#: Which share of the largest overlap a prediction must have to match a box.
_NEARLY = 0.9


class Detection(Operator):
    r"""Why this box? The score of the one prediction that a detection comes from.

    Gradients explain the prediction i that matches best on the image itself, fixed: its class logit, or a side of its
    box. Masked images and metrics measure how much of the detection is left, wherever it is predicted now:

    .. math:: i = \arg\max_{j : \mathrm{IoU}(b, b_j) \ge 0.9 \max_k \mathrm{IoU}(b, b_k)} p_{jc}, \quad S = z_{ic}

    .. math:: S' = \max_j \mathrm{IoU}(b, b_j) \, \cos(p, p_j) \, \max_k p_{jk}

    (Petsiuk et al., D-RISE, CVPR 2021, equation 2.) A fixed prediction would be wrong there: once a part of the image
    is masked, another cell or query may see the object. By default every level of a detector's pyramid is explained,
    and the maps are summed: what a prediction does not come from adds nothing.

    Targets are a dict of ``"boxes"``, ``(N, 4)``, with ``"classes"`` or ``"labels"``, ``(N,)``, or what
    ``model.predict`` returns, ``(N, M, 4)`` and ``(N, M)``, of which the first is taken; classes alone, of which the
    most confident detection is; or boxes alone. None: the most confident detection of each image.

    Parameters
    ----------
    decode : str, callable or None
        From what the model puts out, and the images, to boxes ``(N, A, 4)`` as left, top, right, bottom in pixels, and
        class logits ``(N, A, C)``, before any suppression. None: the detector is recognised by its outputs:
        ``"retinanet"`` and ``"d-fine"`` of KerasHub, ``"yolov8"`` of KerasCV, ``"ultralytics"``, or ``"boxes"``, a dict
        of ``"boxes"`` in pixels and ``"classes"``.
    of : str
        What of the prediction is explained: its ``"class"``; a side, ``"left"``, ``"top"``, ``"right"`` or
        ``"bottom"``, in pixels; or ``"iou"``, how far its box agrees with the one that is given.
    box_format : str or None
        How boxes are given, by Keras' names: ``"xyxy"``, ``"yxyx"``, ``"xywh"``, ``"center_xywh"``; ``"rel_..."`` as
        shares of the image. None: as the model's own ``bounding_box_format`` says, or else ``"xyxy"``.
    background : int or None
        The class that means no object, of a detector whose classes end in a softmax; -1 is the last. None: they end in
        a sigmoid.
    threshold : float
        The least confidence of a detection where no box is given.
    overlap : float
        The intersection over union above which two predictions are one detection.

    Raises
    ------
    ValueError
        Where an option is none of these, the outputs are of no detector that is recognised, or `decode` gives other
        shapes; where a box lies outside of its image or a class does not exist.

    Examples
    --------
    >>> import tfcam
    >>> from tfcam.demo import load_model, make_scenes
    >>> model, (images, *_) = load_model("detector"), make_scenes(2, objects=3)
    >>> explainer = tfcam.ODAM(model, operator=tfcam.Detection())
    >>> explainer.explain(images).shape
    TensorShape([2, 96, 96, 1])
    """

    name = "detection"
    explains_logits = False
    default_layers = "levels"
    fusion = "sum"

    def __init__(
        self,
        decode: str | Decode | None = None,
        of: str = "class",
        box_format: str | None = None,
        background: int | None = None,
        threshold: float = 0.3,
        overlap: float = 0.5,
    ) -> None:
        if of not in PARTS:
            raise ValueError(f"of={of!r} is none of {PARTS}.")
        if not (decode is None or callable(decode) or decode in DECODERS):
            raise ValueError(f"decode={decode!r} is none of {tuple(DECODERS)}, and no function of outputs and images.")
        if box_format is not None and box_format not in BOX_FORMATS:
            raise ValueError(f"box_format={box_format!r} is none of {BOX_FORMATS}.")
        self.decode, self.of, self.box_format, self.background = decode, of, box_format, background
        self.threshold, self.overlap = threshold, overlap

    def check_outputs(self, outputs: Any, model_name: str) -> None:
        """Refuse outputs of no detector that is recognised."""
        if self.decode is None:
            find_decoder(outputs, model_name)

    def scores(self, run: ForwardPass) -> tf.Tensor:
        """Return what is explained of the fixed prediction."""
        boxes, logits = self.decoded(run)
        targets = run.targets
        if self.of == "class":
            row = tf.gather(logits, targets["index"], batch_dims=1)
            return tf.reduce_sum(row * tf.one_hot(targets["class"], row.shape[-1]), axis=-1)
        box = tf.gather(boxes, targets["index"], batch_dims=1)
        score = iou(box, targets["box"]) if self.of == "iou" else box[:, _SIDES.index(self.of)]
        return tf.where(targets["class"] < 0, 0.0, score)

    def measured(self, run: ForwardPass) -> tf.Tensor:
        """Return the similarity to the detection of what is most similar to it."""
        boxes, logits = self.decoded(run)
        probabilities, targets = self._probabilities(logits), run.targets
        cosine = tf.reduce_sum(_unit(probabilities) * _unit(targets["probabilities"])[:, None], axis=-1)
        similarity = iou(boxes, targets["box"][:, None]) * cosine * tf.reduce_max(probabilities, axis=-1)
        return tf.reduce_max(similarity, axis=-1)

    def decoded(self, run: ForwardPass) -> tuple[tf.Tensor, tf.Tensor]:
        """Return boxes ``(N, A, 4)`` in pixels and class logits ``(N, A, C)`` of all predictions, checked, float32."""
        return decoded(run, self.decode)

    def ends(self, run: ForwardPass) -> list[tf.Tensor]:
        """Return class logits and boxes: the explained layers lead to both."""
        boxes, logits = self.decoded(run)
        return [logits, boxes]

    def _probabilities(self, logits: tf.Tensor) -> tf.Tensor:
        if self.background is None:
            return tf.sigmoid(logits)
        classes = logits.shape[-1]
        return tf.nn.softmax(logits) * (1.0 - tf.one_hot(self.background % classes, classes))

    def default_targets(self, run: ForwardPass) -> dict[str, tf.Tensor]:
        """Return the class of the most confident detection."""
        best = tf.reduce_max(self._probabilities(self.decoded(run)[1]), axis=1)
        return {"class": tf.argmax(best, axis=-1, output_type=tf.int32)}

    def top_targets(self, run: ForwardPass, k: int) -> dict[str, tf.Tensor]:
        """Return the complete targets ``(N, k, ...)`` of the k most confident detections; class -1: there is none."""
        if k < 1:
            raise ValueError(f"k={k} must be at least 1.")
        boxes, logits = self.decoded(run)
        probabilities = self._probabilities(logits)
        index, is_there = best_of_overlapping(
            boxes, tf.reduce_max(probabilities, axis=-1), k, self.overlap, self.threshold
        )
        rows = tf.gather(probabilities, index, batch_dims=1)
        classes = tf.where(is_there, tf.argmax(rows, axis=-1, output_type=tf.int32), -1)
        return self._complete(
            run, index, classes, tf.where(is_there[..., None], tf.gather(boxes, index, batch_dims=1), 0.0), rows
        )

    def complete_targets(self, run: ForwardPass, targets: Any) -> dict[str, tf.Tensor]:
        """Return the targets with the prediction that matches them best."""
        if "index" in targets:
            return targets  # type: ignore[no-any-return]
        boxes, logits = self.decoded(run)
        probabilities = self._probabilities(logits)
        wanted = tf.convert_to_tensor(targets["class"]) if "class" in targets else None
        # The class of a box alone is that of the best match.
        confidence = tf.reduce_max(probabilities, axis=-1)
        if wanted is not None:
            there = tf.clip_by_value(wanted, 0, probabilities.shape[-1] - 1)
            confidence = tf.gather(probabilities, there, axis=2, batch_dims=1)
        box = to_corners(targets["box"], self._format(run), image_size(run)) if "box" in targets else None
        index = _best(confidence, boxes, box)
        rows = tf.gather(probabilities, index, batch_dims=1)
        wanted = tf.argmax(rows, axis=-1, output_type=tf.int32) if wanted is None else wanted
        return self._complete(run, index, wanted, tf.gather(boxes, index, batch_dims=1), rows, box)

    def complete_several(self, run: ForwardPass, targets: Any) -> dict[str, tf.Tensor]:
        """Return the complete targets ``(N, T, ...)``."""
        if "index" in targets:
            return targets  # type: ignore[no-any-return]
        each = tf.nest.map_structure(swapped, targets)
        first = self.complete_targets(run, tf.nest.map_structure(lambda one: one[0], each))
        dtypes = tf.nest.map_structure(lambda one: one.dtype, first)
        return tf.nest.map_structure(swapped, in_turn(lambda one: self.complete_targets(run, one), each, dtypes))

    def _complete(
        self,
        run: ForwardPass,
        index: tf.Tensor,
        classes: tf.Tensor,
        predicted: tf.Tensor,
        probabilities: tf.Tensor,
        box: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:
        """Return the targets of predictions of these numbers ``(N, ...)``, and of boxes that are given for them."""
        confidence = tf.reduce_sum(probabilities * tf.one_hot(classes, probabilities.shape[-1]), axis=-1)
        return {
            "index": index,
            "class": classes,
            "box": predicted if box is None else box,
            "probabilities": probabilities,
            "confidence": confidence,
            "overlap": tf.ones_like(confidence) if box is None else iou(predicted, box),
            "is_given": tf.fill(tf.shape(index), box is not None),
            "size": tf.zeros_like(confidence, tf.int32)[..., None] + image_size(run),
        }

    def _format(self, run: ForwardPass) -> str:
        own = self.box_format or str(getattr(run.model, "bounding_box_format", "xyxy")).lower()
        if own not in BOX_FORMATS:
            raise ValueError(
                f"The model's boxes are {own!r}, none of {BOX_FORMATS}: give tfcam.Detection(box_format=)."
            )
        return own

    def mirrored_targets(self, run: ForwardPass, targets: Any, is_mirrored: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the targets with their boxes mirrored, each matched anew where its image is."""
        left, top, right, bottom = tf.unstack(targets["box"], axis=-1)
        width = tf.cast(targets["size"][:, 1], tf.float32)
        box = tf.where(is_mirrored, tf.stack([width - right, top, width - left, bottom], axis=-1), targets["box"])
        boxes, logits = self.decoded(run)
        confidence = tf.linalg.matvec(self._probabilities(logits), tf.one_hot(targets["class"], logits.shape[-1]))
        return targets | {"box": box, "index": tf.where(is_mirrored, _best(confidence, boxes, box), targets["index"])}

    def details(self, run: ForwardPass, targets: Any) -> dict[str, tf.Tensor]:
        """Return ``"boxes"`` as they are given, ``"classes"``, ``"confidence"``, ``"overlap"``, and ``"regions"``."""
        return {
            "boxes": from_corners(targets["box"], self._format(run), image_size(run)),
            "classes": targets["class"],
            "confidence": targets["confidence"],
            "overlap": targets["overlap"],
            "regions": self.regions(targets),
        }

    def regions(self, targets: Any) -> tf.Tensor:
        """Return the pixels ``(N, height, width)`` in the boxes, or ``(N, k, height, width)``."""
        return box_masks(targets["box"], tf.reshape(targets["size"], [-1, 2])[0])

    def columns(self, values: Any, count: int) -> list[Any]:
        """Return detections ``(N, T, ...)`` one by one, or classes."""
        if not isinstance(values, Mapping):
            return super().columns(values, count)
        return [{name: one[:, number] for name, one in values.items()} for number in range(values["classes"].shape[1])]

    def check_several(self, targets: Any) -> None:
        """Refuse boxes and classes that there cannot be."""
        values = {name: np.asarray(value) for name, value in targets.items()}
        for image, number in np.ndindex(values["class"].shape):
            with suppress(NothingToExplain):
                self._check(image, {name: value[image, number] for name, value in values.items()})

    def check_targets(self, targets: Any) -> None:
        """Refuse boxes and classes that there cannot be, and detections that there are not."""
        values = {name: np.asarray(value) for name, value in targets.items()}
        for image in range(len(values["class"])):
            self._check(image, {name: value[image] for name, value in values.items()})

    def _check(self, image: int, target: dict[str, np.ndarray]) -> None:
        """Refuse the target of an image of a batch, if it cannot be or is not there."""
        wanted, overlap = target["class"], target["overlap"]
        check_class(image, int(wanted), len(target["probabilities"]))
        if target["is_given"] and overlap < _SAME:
            told = check_box(image, target["box"], target["size"])
            if not overlap:
                raise NothingToExplain(f"{told} overlaps no prediction of class {wanted}.")
        elif not target["is_given"] and target["confidence"] < self.threshold:
            raise NothingToExplain(
                f"image {image} of the batch has no detection above the threshold={self.threshold:g}: the most "
                f"confident, of class {wanted}, has {target['confidence']:.2g}. Give tfcam.Detection(threshold=...) or "
                "a box."
            )
        if self.of == "iou" and overlap >= _SAME:
            raise NothingToExplain(
                f"the box of image {image} of the batch is the prediction's own, where the overlap is at its most and "
                "has no gradient: give the box that it should have, or explain a side, Detection(of='left')."
            )

    def read_targets(self, values: Any, count: int, outputs: Any) -> dict[str, np.ndarray]:
        """Return the ``"box"`` ``(N, 4)`` float32, the ``"class"`` ``(N,)`` int32, or both."""
        return read_detections(values, count)


def _best(confidence: tf.Tensor, boxes: tf.Tensor, box: tf.Tensor | None) -> tf.Tensor:
    """Return the number ``(N,)`` of the most confident prediction, of those that lie best on a box if one is given.

    So a box that is left after suppression is its own prediction's, though one beside it may be more confident.
    """
    if box is not None:
        overlap = iou(boxes, box[:, None])
        confidence = tf.where(overlap >= _NEARLY * tf.reduce_max(overlap, axis=-1, keepdims=True), confidence, -1.0)
    return tf.argmax(confidence, axis=-1, output_type=tf.int32)


def _unit(vectors: tf.Tensor) -> tf.Tensor:
    return tf.math.l2_normalize(vectors, axis=-1, epsilon=1e-30)
