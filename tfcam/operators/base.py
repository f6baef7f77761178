"""The base of all operators: one score for each image, and targets that define the score."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol

import numpy as np
import tensorflow as tf


class ForwardPass(Protocol):
    """What an operator sees of a run.

    Attributes
    ----------
    inputs, targets
        The batch, and what is explained of it.
    predictions, outputs
        What the model put out, and what is explained of that: its logits, where it has some; of the model's structure.
    model : callable
        The model: ``model(inputs)`` gives the outputs of these or any other inputs.
    """

    @property
    def inputs(self) -> Any: ...  # noqa: D102

    @property
    def targets(self) -> Any: ...  # noqa: D102

    @property
    def predictions(self) -> Any: ...  # noqa: D102

    @property
    def outputs(self) -> Any: ...  # noqa: D102

    @property
    def model(self) -> Any: ...  # noqa: D102


class NothingToExplain(ValueError):
    """An image has nothing to explain, such as no pixel of the class; other images of the batch may have some."""


class Operator(ABC):
    """What is explained: nobody but the operator knows which task it is.

    Targets are tensors, or a structure of them, whose first axis counts the images; `read_targets` makes them from
    what the user gives, `default_targets` from the run, of the same shapes and dtypes.
    """

    name: str
    #: Whether the logits that enter a final softmax or sigmoid are explained, with their classes last, rather than the
    #: output as it is.
    explains_logits = True
    #: Whether the score is that of a class, which has a probability.
    has_probability = False
    #: Whether the labels of a dataset say what is explained.
    labels_are_targets = True
    #: Which layers are explained where neither the user nor the method says: a name of
    #: `tfcam.layers.selection.DEFAULTS`.
    default_layers = "last"
    #: How the maps of several layers become one where the user does not say; empty: as the method does.
    fusion = ""

    @abstractmethod
    def scores(self, run: ForwardPass) -> tf.Tensor:
        """Return the scores ``(N,)`` float32 that are explained."""

    def measured(self, run: ForwardPass) -> tf.Tensor:
        """Return the scores ``(N,)`` of perturbed images, where what is explained may have moved: `scores`."""
        return self.scores(run)

    def ends(self, run: ForwardPass) -> list[tf.Tensor]:
        """Return what the explained layers lead to, of a model of several outputs: the scores."""
        return [self.scores(run)]

    @abstractmethod
    def default_targets(self, run: ForwardPass) -> Any:
        """Return the targets explained where none are given; None where there are none."""

    @abstractmethod
    def read_targets(self, values: Any, count: int, outputs: Any) -> Any:
        """Return targets of any kind for `count` images, checked, as `scores` takes them.

        `outputs` are the TensorSpecs of the explained outputs.
        """

    def complete_targets(self, run: ForwardPass, targets: Any) -> Any:
        """Return targets with what the run tells of them, such as the region that is predicted.

        Runs on other images, perturbed ones, keep what that of the images themselves has told: those are complete, and
        stay as they are.
        """
        return targets

    def columns(self, values: Any, count: int) -> list[Any]:
        """Return the targets of several of each of so many images one by one, each as `read_targets` takes them."""
        return list(np.broadcast_to(values, (count, np.shape(values)[-1])).T)

    def complete_several(self, run: ForwardPass, targets: Any) -> Any:
        """Return targets ``(N, T, ...)`` with what the run tells of them, where that is needed before their turn."""
        return targets

    def check_several(self, targets: Any) -> None:  # noqa: B027
        """Raise a ValueError where one of the targets ``(N, T, ...)`` cannot be; those that are empty may be."""

    def mirrored_targets(self, run: ForwardPass, targets: Any, is_mirrored: tf.Tensor) -> Any:
        """Return complete targets for a run on images that may be mirrored along the last axis of their grid."""
        return targets

    def check_targets(self, targets: Any) -> None:  # noqa: B027
        """Raise `NothingToExplain` where the complete targets of an image of the batch are empty."""

    def check_outputs(self, outputs: Any, model_name: str) -> None:  # noqa: B027
        """Raise a ValueError where outputs of these TensorSpecs have no score; any have, unless it is overridden."""

    def target_specs(self, labels: Any) -> Any:
        """Return the TensorSpecs of the targets read from labels of these; None: those of `default_targets`."""
        return None

    def top_targets(self, run: ForwardPass, k: int) -> Any:
        """Return the targets ``(N, k, ...)`` of each image's k highest scores; their `details` have ``"classes"``."""
        raise TypeError(
            f"explain_top ranks the classes of a classification, and operator={self.name!r} has none: name what is "
            "explained, explain(inputs, targets)."
        )

    def regions(self, targets: Any) -> tf.Tensor | None:
        """Return where what complete targets explain lies, masks ``(N, h, w)``; None where it lies nowhere."""
        return None

    def details(self, run: ForwardPass, targets: Any) -> dict[str, tf.Tensor]:
        """Return what else is worth knowing of the targets, ``(N, ...)`` or ``(N, T, ...)``, by its name."""
        return {}
