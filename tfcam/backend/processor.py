"""Operations that the processor cannot run, and the remedy."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfcam.backend.keras_compat import infer

_REMEDY = (
    "TensorFlow has channels-first convolutions on this processor with oneDNN only: set TF_ENABLE_ONEDNN_OPTS=1 before "
    "TensorFlow is imported, or build the model with data_format='channels_last'."
)


def remedy(error: Exception | None) -> str | None:
    """Return what helps where a model failed because this processor has no channels-first operation of its kind."""
    is_of_layout = isinstance(error, tf.errors.OpError) and any(
        layout in str(error) for layout in ("NHWC", "NDHWC", "NCHW", "NCDHW")
    )
    return _REMEDY if is_of_layout else None


def require_runnable(model: Any, specs: Any) -> None:
    """Refuse a model whose channels-first operations this processor does not have.

    Parameters
    ----------
    model : keras.Model or tf_keras.Model
    specs : structure of tf.TensorSpec
        Its inputs.

    Raises
    ------
    ValueError
        With what helps, in one line.
    """
    try:
        infer(model, tf.nest.map_structure(one_of_zeros, specs))
    except Exception as error:
        # Any other reason has a message of its own where the model is run on images.
        if remedy(error):
            raise ValueError(f"Model {model.name!r} cannot run here. {remedy(error)}") from error


def one_of_zeros(part: Any) -> tf.Tensor:
    """Return one image of zeros like those of a batch or TensorSpec, where its sizes are open, of 64 cells."""
    return tf.zeros([1, *(size or 64 for size in part.shape[1:])], part.dtype)
