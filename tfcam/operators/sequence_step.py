"""The score of a word at a position of a sequence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from tfcam.operators.base import ForwardPass
from tfcam.operators.classification import Classification


class SequenceStep(Classification):
    r"""Score of a word at one step of a sequence, such as a caption, or text in an image: :math:`S = z_{t,w}`.

    The model puts out ``(N, steps, words)``. Targets are those of a classification, of the words; by default the word
    that is predicted at that step. Of a model that is given the words so far, these are another of its inputs.

    Parameters
    ----------
    step : int
        t, from 0; -1 is the last.

    Raises
    ------
    ValueError
        Where the model puts out no sequence, or one without such a step.

    Examples
    --------
    >>> import keras, numpy as np, tfcam
    >>> image = keras.Input((16, 16, 3))
    >>> features = keras.layers.Flatten()(keras.layers.Conv2D(4, 3, 2)(image))
    >>> letters = keras.layers.Reshape((3, 26))(keras.layers.Dense(3 * 26)(features))
    >>> images = np.random.default_rng(0).uniform(0, 1, (2, 16, 16, 3))
    >>> explainer = tfcam.GradCAM(keras.Model(image, letters), operator=tfcam.SequenceStep(1))
    >>> explainer.explain(images, 7).shape
    TensorShape([2, 16, 16, 1])
    """

    name = "sequence step"
    has_probability = False

    def __init__(self, step: int = 0) -> None:
        self.step = step

    def check_outputs(self, outputs: Any, model_name: str) -> None:
        """Refuse several outputs, and outputs that are no sequence or have no such step."""
        super().check_outputs(outputs, model_name)
        [output] = tf.nest.flatten(outputs)
        steps = output.shape[1] if output.shape.rank == 3 else 0
        if steps is not None and not -steps <= self.step < steps:
            raise ValueError(
                f"Model {model_name!r} puts out {tuple(output.shape)}, which has no step {self.step}: expected (N, "
                "steps, words) with more steps."
            )

    def scores(self, run: ForwardPass) -> tf.Tensor:
        """Return the weighted outputs of the step."""
        return super().scores(self._at(run))

    def default_targets(self, run: ForwardPass) -> tf.Tensor:
        """Return the weights of the predicted word."""
        return super().default_targets(self._at(run))

    def top_targets(self, run: ForwardPass, k: int) -> tf.Tensor:
        """Return the weights ``(N, k, words)`` of the k highest words."""
        return super().top_targets(self._at(run), k)

    def details(self, run: ForwardPass, targets: Any) -> dict[str, tf.Tensor]:
        """Return the words explained as ``"classes"``, and the model's output for every word."""
        return super().details(self._at(run), targets)

    def _at(self, run: ForwardPass) -> _Step:
        predictions, outputs = (tf.nest.flatten(one)[0][:, self.step] for one in (run.predictions, run.outputs))
        return _Step(run.inputs, run.targets, predictions, outputs, run.model)


@dataclass(frozen=True)
class _Step:
    """What is seen of a step of a run."""

    inputs: Any
    targets: Any
    predictions: tf.Tensor
    outputs: tf.Tensor
    model: Any
