"""What is required of a batch, where only its tensors tell."""

from __future__ import annotations

import re

import tensorflow as tf

#: How the messages begin, so that they are told from those of a model's own assertions.
_MARK = "tfcam requires: "


def require(condition: tf.Tensor, message: str) -> None:
    """Let the computation fail with a message where a condition is not met."""
    tf.debugging.Assert(condition, [_MARK + message + "."])


def unmet(error: tf.errors.InvalidArgumentError) -> str | None:
    """Return the message of the requirement that failed; None where it was something else."""
    found = re.search(rf"{_MARK}(.*?\.)(\]|$)", str(error), re.MULTILINE)
    return found and found[1]
