"""What a method is: maps of a run, and what it says of itself. The registry fills itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import tensorflow as tf

from tfcam.instrument import Run

#: Every method by its name, filled by the classes themselves.
METHODS: dict[str, type[Method]] = {}


class Method(ABC):
    """A function of a run that never touches a Keras model.

    A class with a `name` is in the registry, and so in the command line, the tables and the benchmarks.
    """

    name: ClassVar[str]
    family: ClassVar[str]
    question: ClassVar[str]
    cost: ClassVar[str]
    paper: ClassVar[str]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "name" in vars(cls):
            METHODS[cls.name] = cls

    @abstractmethod
    def maps(self, run: Run) -> list[tf.Tensor]:
        """Return the maps ``(N, *grid)`` of a run, one for each explained layer."""

    def findings(self, run: Run, maps: list[tf.Tensor]) -> dict[str, tf.Tensor]:
        """Return what may be worth a warning, and whether it is."""
        finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(one)) for one in maps])
        return {"some maps hold NaN or infinite values: the model's activations overflow": ~finite}
