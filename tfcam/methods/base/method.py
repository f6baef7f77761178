"""The base of all methods: maps of a run, how they are presented, and a method's description of itself."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import tensorflow as tf

from tfcam.engine import MapOptions, Run
from tfcam.engine.postprocessing import postprocess
from tfcam.engine.smoothing import Maps, find_smoothing
from tfcam.ops.fusion import find_fusion
from tfcam.ops.pca import first_component
from tfcam.registry import refuse_unknown_options

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
    #: ``"forward"``: one forward pass; ``"backward"``: and one backward pass through the head; ``"few"``: a number of
    #: passes that does not depend on the layer; ``"many"``: one for each channel, cell, mask or step.
    cost_class: ClassVar[str]
    paper: ClassVar[str]
    #: Whether the maps are of a score; otherwise they are the same for every class.
    explains_scores: ClassVar[bool] = True
    #: What a model must have for the formula to be defined: ``"pooled head"``, a global average pooling and linear
    #: layers alone; ``"attention"``; ``"boxes"``, as a detector has; empty where any model will do.
    needs: ClassVar[str] = ""
    #: The operator without whose score it means nothing, and which it takes where none is given; empty where any does.
    needs_operator: ClassVar[str] = ""
    #: Whether the maps are what the channels contribute, summed.
    sums_channels: ClassVar[bool] = False
    #: Whether several layers give one map, rather than one each.
    gives_one_map: ClassVar[bool] = False
    #: Whether the maps have the grid of the input, at whichever layer.
    maps_inputs: ClassVar[bool] = False
    #: How the maps of several layers become one where the user does not say: a name of `tfcam.ops.fusion.FUSIONS`.
    fusion: ClassVar[str] = "mean"

    #: Why the formula is not for activations that are partly negative; empty where it is.
    assumes_nonnegative: ClassVar[str] = ""
    #: Which share of them it stands all the same.
    negative_share: ClassVar[float] = 1 / 3

    # A formula without a model, as the tests take it, shows what speaks for the score.
    _absolute = _negative = _signed = _eigen = _keeps_channels = False

    def __init__(self, *, smooth: Any, fuse: str | None, absolute: bool, negative: bool, signed: bool) -> None:
        self._fuse = self.fusion if fuse is None else fuse
        find_fusion(self._fuse)
        self._smoothings, self._eigen = find_smoothing(smooth)
        if self._eigen and not self.sums_channels:
            raise ValueError(
                f"smooth='eigen' puts the first principal component in place of the sum over the channels, and the "
                f"maps of {type(self).__name__} are no such sum: leave it off, or take 'augment' or 'noise'."
            )
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
        refuse_unknown_options(cls)
        if "name" in vars(cls):
            METHODS[cls.name] = cls

    @abstractmethod
    def maps(self, run: Run) -> list[tf.Tensor]:
        """Return the maps ``(N, *grid)`` of a run, with their sign, one for each explained layer."""

    def heatmaps(self, run: Run, options: MapOptions) -> tf.Tensor:
        """Return the heatmaps ``(N, *grid)`` of a run."""
        maps: Maps = self.maps
        for smoothing in reversed(self._smoothings):
            count = 1 if self.gives_one_map else len(run.activations)
            maps = smoothing.around(maps, count, self.maps_inputs)
        run = self.rescored(run)
        each = [self.shown(one) for one in maps(run.negated() if self._negative else run)]
        return postprocess(each, run, options, self._fuse, self.maps_inputs)

    def rescored(self, run: Run) -> Run:
        """Return the run with the score that the method explains, made from that of the operator."""
        return run

    def summed(self, contributions: tf.Tensor) -> tf.Tensor:
        """Return the maps ``(N, *grid)`` of what each channel contributes, ``(N, *grid, K)``."""
        if self._keeps_channels:
            return contributions
        return first_component(contributions) if self._eigen else tf.reduce_sum(contributions, axis=-1)

    def of_channels(self, run: Run) -> list[tf.Tensor]:
        """Return what each channel contributes to the maps, ``(N, *grid, K)``, of a method that sums that."""
        other = copy.copy(self)
        other._keeps_channels = True
        return other.maps(self.rescored(run))

    def shown(self, maps: tf.Tensor) -> tf.Tensor:
        """Return of signed maps what is shown: what speaks for the score, how much in any direction, or all."""
        if self._signed:
            return maps
        return tf.abs(maps) if self._absolute else tf.nn.relu(maps)

    def findings(self, run: Run) -> dict[str, tf.Tensor]:
        """Return what may be worth a warning in a run, and whether it is."""
        if not self.assumes_nonnegative:
            return {}
        return _negative_activations(run, self.assumes_nonnegative, self.negative_share)


def _negative_activations(run: Run, why: str, share: float) -> dict[str, tf.Tensor]:
    """Return the finding that activations are partly negative, which a method does not stand.

    That is, where more than a share of their sum without signs is: about half of a convolution's own output, less of
    what a SiLU leaves.
    """
    below, all_of_it = (
        tf.add_n([tf.reduce_sum(measure(activations)) for activations in run.activations])
        for measure in (lambda activations: tf.nn.relu(-activations), tf.abs)
    )
    remedy = "choose the activation that follows this layer"
    if any(call.has_tokens for call in run.layers):
        remedy = (
            "the channels of tokens behind a layer norm sum to about zero, so choose a method that does not mind, such "
            "as HiResCAM"
        )
    message = f"the activations are partly negative, and {why}: {remedy}"
    return {message: below > share * all_of_it}
