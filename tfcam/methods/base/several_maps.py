"""The calls that give several maps of each image: of classes, or of detections, from one forward pass."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tfcam.data.validation import read_columns, require_arrays
from tfcam.engine import Explanation, Explanations, MapOptions, ModelSession, Report
from tfcam.layers import Align
from tfcam.operators import Detection, Operator
from tfcam.operators.box_targets import present_detections


class SeveralMaps:
    """What an explainer does for several targets of each image."""

    session: ModelSession
    operator: Operator

    def explanations(
        self, inputs: Any, targets: Any, options: MapOptions, progress: bool | Report = False
    ) -> Iterator[Explanation]:
        """Yield the `Explanation` of each batch, of inputs and targets as for `explain`."""
        return Explanations(self.session, self, options).each(inputs, targets, progress)

    def explain_classes(
        self,
        inputs: Any,
        classes: Any,
        *,
        resize: bool | str = True,
        normalize: bool = False,
        align: Align = None,
        progress: bool | Report = False,
    ) -> tf.Tensor:
        """Return the maps of several classes of the same images from one forward pass.

        Parameters
        ----------
        inputs : as for `explain`
            Arrays, not a dataset.
        classes : array (T,) or (N, T)
            Class indices, for all images or for each.

        Returns
        -------
        tf.Tensor
            ``(N, T, *grid, 1)`` float32.
        """
        require_arrays(inputs, "explain_classes")
        classes = read_columns(classes)
        if classes.ndim not in (1, 2) or not classes.size or classes.dtype.kind not in "iu":
            raise ValueError(
                f"classes must be (T,) or (N, T) class indices, got the shape {classes.shape} of {classes.dtype}; "
                "explain(images, weights) takes weights."
            )
        options = MapOptions.read(resize, normalize, align, several=True)
        batches = self.session.batches(inputs, classes if classes.ndim == 2 else None)
        pairs = ((x, classes if y is None else y) for x, y in batches)
        explanations = Explanations(self.session, self, options).each_of(pairs, progress, inputs)
        return tf.concat([one.maps for one in explanations], axis=0)

    def explain_top(
        self,
        inputs: Any,
        k: int = 3,
        *,
        resize: bool | str = True,
        normalize: bool = False,
        align: Align = None,
        progress: bool | Report = False,
    ) -> tuple[tf.Tensor, np.ndarray]:
        """Return the maps ``(N, k, *grid, 1)`` of each image's k highest classes, and the classes ``(N, k)``."""
        require_arrays(inputs, "explain_top")
        options = MapOptions.read(resize, normalize, align, several=True, top=k)
        explanations = list(self.explanations(inputs, None, options, progress))
        classes = np.concatenate([one.details["classes"] for one in explanations])
        return tf.concat([one.maps for one in explanations], 0), classes

    def explain_detections(
        self,
        inputs: Any,
        detections: Any = None,
        k: int = 10,
        *,
        resize: bool | str = True,
        normalize: bool = False,
        align: Align = None,
        progress: bool | Report = False,
    ) -> tuple[tf.Tensor, dict[str, np.ndarray]]:
        """Return the maps of several detections of the same images from one forward pass, and the detections.

        Parameters
        ----------
        inputs : as for `explain`
            Arrays, not a dataset.
        detections : dict or None
            ``"boxes"``, ``(N, T, 4)``, and ``"classes"`` or ``"labels"``, ``(N, T)``, as ``model.predict`` returns
            them. None: the `k` most confident ones, after suppression.
        k : int
            How many, where none are given.

        Returns
        -------
        tf.Tensor
            ``(N, T, *grid, 1)`` float32. T is the largest number of detections of any image, of those given, or `k`; a
            map is empty where the class is -1, there being fewer.
        dict of numpy.ndarray
            The ``"boxes"`` and ``"classes"`` that are explained, with their ``"confidence"`` and their ``"overlap"``,
            the intersection over union, with the predictions that match them.

        Raises
        ------
        TypeError
            Where the operator explains no detections.
        ValueError
            Where boxes and classes do not fit the images or the model, or there is no detection at all.
        """
        require_arrays(inputs, "explain_detections")
        if not isinstance(self.operator, Detection):
            raise TypeError(
                f"explain_detections explains those of a detector, and operator={self.operator.name!r} does not: give "
                "operator='detection'."
            )
        if detections is not None:
            detections = present_detections(detections)
        options = MapOptions.read(resize, normalize, align, several=True, top=k if detections is None else None)
        explanations = list(self.explanations(inputs, detections, options, progress))
        names = ("boxes", "classes", "confidence", "overlap")
        found = {name: np.concatenate([one.details[name] for one in explanations]) for name in names}
        return tf.concat([one.maps for one in explanations], 0), found
