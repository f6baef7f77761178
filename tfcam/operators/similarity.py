"""The score of an embedding: how similar it is to another."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfcam.operators.base import ForwardPass, Operator
from tfcam.operators.classification import read_numbers

MEASURES = ("cosine", "dot", "distance")


class Similarity(Operator):
    r"""Why are these two alike? How similar a model's embedding e is to a reference r.

    .. math:: S = \frac{e \cdot r}{|e| |r|}, \quad e \cdot r \quad \text{or} \quad -|e - r|

    The map explains the agreement with this reference, and no class. A model of two outputs, as one of two towers is,
    compares the one with the other and takes no reference. Embeddings of more than one axis are flattened.

    Parameters
    ----------
    reference : array, or None
        What is compared with, the same for all images: an embedding of the output's shape, such as that of a text; or
        an image of the input's shape, whose embedding is computed. None: the targets are references, one for each
        image.
    measure : str
        ``"cosine"``, ``"dot"`` or ``"distance"``, negative, so that more is more similar.

    Raises
    ------
    ValueError
        Where the measure is none of these, there is no reference, or it has another shape than the output and input.

    Examples
    --------
    >>> import keras, tfcam
    >>> from tfcam.demo import load_model, make_scenes
    >>> model, (images, *_) = load_model(), make_scenes(3)
    >>> embedder = keras.Model(model.inputs, model.layers[-2].output)
    >>> explainer = tfcam.GradCAM(embedder, operator=tfcam.Similarity(images[0]))
    >>> explainer.explain(images[1:]).shape
    TensorShape([2, 96, 96, 1])
    """

    name = "similarity"
    explains_logits = False

    def __init__(self, reference: Any = None, measure: str = "cosine") -> None:
        if measure not in MEASURES:
            raise ValueError(f"measure={measure!r} is none of {MEASURES}.")
        self.reference = None if reference is None else read_numbers(reference).astype(np.float32)
        self.measure = measure

    @property
    def labels_are_targets(self) -> bool:  # type: ignore[override]
        """Whether the labels of a dataset are references: where there is none for all."""
        return self.reference is None

    def check_outputs(self, outputs: Any, model_name: str) -> None:
        """Refuse more than two outputs, and two of different sizes."""
        shapes = [tuple(output.shape) for output in tf.nest.flatten(outputs)]
        if len(shapes) > 2 or (len(shapes) == 2 and shapes[0][1:] != shapes[1][1:]):
            raise ValueError(
                f"Model {model_name!r} has outputs of the shapes {shapes}; expected one embedding, or two of one size, "
                "which are compared: say which, output_layer=."
            )

    def scores(self, run: ForwardPass) -> tf.Tensor:
        """Return the similarity."""
        embedding, *other = map(_flat, tf.nest.flatten(run.outputs))
        reference = other[0] if other else run.targets
        if self.measure == "distance":
            # The root of 0 has a gradient that is no number.
            return -tf.sqrt(tf.maximum(tf.reduce_sum((embedding - reference) ** 2, axis=-1), 1e-30))
        if self.measure == "cosine":
            embedding, reference = (tf.math.l2_normalize(one, axis=-1) for one in (embedding, reference))
        return tf.reduce_sum(embedding * reference, axis=-1)

    def default_targets(self, run: ForwardPass) -> Any:
        """Return the embedding of the reference of all images; of a model of two outputs the second."""
        output, *other = tf.nest.flatten(run.outputs)
        if other:
            return _flat(other[0])
        if self.reference is None:
            raise ValueError(
                "operator='similarity' compares with a reference, and there is none: give tfcam.Similarity(reference), "
                "or one for each image as its targets."
            )
        return tf.repeat(self._embedding(run, tf.constant(self.reference[None])), tf.shape(output)[0], axis=0)

    def complete_targets(self, run: ForwardPass, targets: Any) -> tf.Tensor:
        """Return the references' embeddings ``(N, D)``; those of images are computed."""
        return self._embedding(run, targets["reference"]) if isinstance(targets, dict) else targets

    def _embedding(self, run: ForwardPass, reference: tf.Tensor) -> tf.Tensor:
        """Return the embeddings ``(n, D)`` that references are or have."""
        [output], [first, *others] = tf.nest.flatten(run.outputs), tf.nest.flatten(run.inputs)
        given, expected = reference.shape[1:], output.shape[1:]
        if expected.is_compatible_with(given) or given == [expected.num_elements()]:
            return _flat(reference)
        if others or not first.shape[1:].is_compatible_with(given):
            image = "and the model has several inputs" if others else f"or an image {tuple(first.shape[1:])}"
            raise ValueError(
                f"a reference has the shape {tuple(given)}; expected an embedding {tuple(expected)}, {image}, for each "
                "of the explained images."
            )
        [output] = tf.nest.flatten(run.model(tf.nest.pack_sequence_as(run.inputs, [tf.cast(reference, first.dtype)])))
        return _flat(output)

    def read_targets(self, values: Any, count: int, outputs: Any) -> dict[str, np.ndarray]:
        """Return the ``"reference"`` of each image ``(N, ...)`` float32."""
        if len(tf.nest.flatten(outputs)) > 1:
            raise ValueError(
                "the model's two outputs are compared with one another, and take no reference: leave the targets off, "
                "of a dataset with labels dataset.map(lambda x, y: x)."
            )
        values = read_numbers(values).astype(np.float32)
        if values.shape[:1] != (count,):
            raise ValueError(f"references have the shape {values.shape}; expected one for each of {count} images.")
        return {"reference": values}

    def target_specs(self, labels: Any) -> Any:
        """Return the TensorSpecs of references that are read from such labels."""
        is_one = isinstance(labels, tf.TensorSpec) and self.labels_are_targets
        return {"reference": tf.TensorSpec(labels.shape, tf.float32)} if is_one else None


def _flat(embedding: tf.Tensor) -> tf.Tensor:
    size = embedding.shape[1:].num_elements()
    return tf.reshape(tf.cast(embedding, tf.float32), [tf.shape(embedding)[0], -1 if size is None else size])
