"""Operators: what is explained, as one score per image; one class in one file each."""

from __future__ import annotations

from enum import Enum
from typing import Any

from tfcam.operators.classification import Classification
from tfcam.operators.custom import Custom
from tfcam.operators.operator import Operator
from tfcam.operators.regression import Regression


class Tasks(Enum):
    """The tasks that have an operator of their own."""

    CLASSIFICATION = "classification"
    REGRESSION = "regression"

    @property
    def operator(self) -> Operator:
        """The operator of the task."""
        return {"classification": Classification, "regression": Regression}[self.value]()


def find_operator(operator: Any) -> Operator:
    """Return the operator that a member of `Tasks`, its name, a callable, an `Operator` or None means."""
    if isinstance(operator, Operator):
        return operator
    if isinstance(operator, str):
        names = [task.value for task in Tasks]
        if operator.lower() not in names:
            raise ValueError(f"operator={operator!r} names no task; the tasks are {names}.")
        operator = Tasks(operator.lower())
    if operator is None or isinstance(operator, Tasks):
        return (operator or Tasks.CLASSIFICATION).operator
    if not callable(operator) or isinstance(operator, type):
        raise TypeError(
            "operator must be a tfcam.Tasks member, its name, or a callable g(model, inputs, targets) that gives"
            f" scores (N,), got {operator if isinstance(operator, type) else type(operator).__name__}."
        )
    return Custom(operator)
