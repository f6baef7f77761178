"""Operators: what is explained, as one score per image; one class in one file each, and its row in `Tasks`."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum
from typing import Any, TypeAlias

import tensorflow as tf

from tfcam.operators.base import ForwardPass, NothingToExplain, Operator
from tfcam.operators.classification import Classification
from tfcam.operators.contrast import Contrast
from tfcam.operators.custom import Custom
from tfcam.operators.detection import Detection
from tfcam.operators.doubt import Doubt
from tfcam.operators.multi_label import MultiLabel
from tfcam.operators.ordinal import Ordinal
from tfcam.operators.regression import Regression
from tfcam.operators.segmentation import Segmentation
from tfcam.operators.sequence_step import SequenceStep
from tfcam.operators.similarity import Similarity

__all__ = [
    "Classification",
    "Contrast",
    "Custom",
    "Detection",
    "Doubt",
    "ForwardPass",
    "MultiLabel",
    "NothingToExplain",
    "Operator",
    "OperatorLike",
    "Ordinal",
    "Regression",
    "Segmentation",
    "SequenceStep",
    "Similarity",
    "Tasks",
    "find_operator",
]


class Tasks(Enum):
    """The tasks that have an operator of their own; ``Tasks("regression")`` finds one by its name."""

    CLASSIFICATION = Classification
    REGRESSION = Regression
    MULTI_LABEL = MultiLabel
    ORDINAL = Ordinal
    SEQUENCE_STEP = SequenceStep
    SIMILARITY = Similarity
    CONTRAST = Contrast
    DOUBT = Doubt
    SEGMENTATION = Segmentation
    DETECTION = Detection
    #: Xplique's names.
    SEMANTIC_SEGMENTATION = Segmentation
    OBJECT_DETECTION = Detection

    @classmethod
    def _missing_(cls, value: object) -> Tasks | None:
        return cls.__members__.get(re.sub("[ -]", "_", str(value)).upper())


#: What ``operator=`` may be.
OperatorLike: TypeAlias = Tasks | str | Operator | Callable[[Any, Any, Any], tf.Tensor] | None


def find_operator(operator: Any) -> Operator:
    """Return the operator that a member of `Tasks`, its name, a callable, an `Operator` or None means."""
    if operator is None:
        return Classification()
    if isinstance(operator, Operator):
        return operator
    if isinstance(operator, type) and issubclass(operator, Operator):
        raise TypeError(f"operator={operator.__name__} is a class: give an instance of it, {operator.__name__}().")
    if isinstance(operator, (str, Tasks)):
        names = [task.value.name for task in Tasks]
        try:
            return Tasks(operator).value()
        except ValueError:
            raise ValueError(f"operator={operator!r} names no task; the tasks are {names}.") from None
    if not callable(operator):
        raise TypeError(
            "operator must be a tfcam.Tasks member, its name, a callable g(model, inputs, targets) that gives scores "
            f"(N,), or a tfcam.Operator, got {type(operator).__name__}."
        )
    return Custom(operator)
