"""What a method is: maps of a run, how they are shown, and what it says of itself. The registry fills itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import tensorflow as tf

from tfcam.heatmaps import Options, heatmaps
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
    #: Whether the maps are of a score; otherwise they are the same for every class.
    explains_scores: ClassVar[bool] = True

    # A formula without a model, as the tests take it, shows what speaks for the score.
    _absolute = _negative = _signed = False

    def __init__(self, *, absolute: bool, negative: bool, signed: bool) -> None:
        if absolute and signed:
            raise ValueError("absolute=True gives maps without their sign, signed=True maps with it: choose one.")
        if negative and not self.explains_scores:
            raise ValueError(
                f"{type(self).__name__} explains no class, its maps do not depend on the score, so nothing speaks "
                "against it: leave negative= off, or choose a method of another family (tfcam.list_methods())."
            )
        self._absolute, self._negative, self._signed = absolute, negative, signed

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "name" in vars(cls):
            METHODS[cls.name] = cls

    @abstractmethod
    def maps(self, run: Run) -> list[tf.Tensor]:
        """Return the maps ``(N, *grid)`` of a run, with their sign, one for each explained layer."""

    def heatmaps(self, run: Run, options: Options) -> tf.Tensor:
        """Return the heatmaps ``(N, *grid)`` of a run."""
        maps = self.maps(run.negated() if self._negative else run)
        return heatmaps([self.shown(one) for one in maps], run.source(), options)

    def shown(self, maps: tf.Tensor) -> tf.Tensor:
        """Return of signed maps what is shown: what speaks for the score, how much in any direction, or all."""
        if self._signed:
            return maps
        return tf.abs(maps) if self._absolute else tf.nn.relu(maps)

    def findings(self, run: Run, maps: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return what may be worth a warning in a run and its heatmaps, and whether it is."""
        finite = tf.reduce_all(tf.math.is_finite(maps))
        return {"some maps hold NaN or infinite values: the model's activations overflow": ~finite}
