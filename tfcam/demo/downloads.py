"""Downloads by Keras, and how a failed one is recognised."""

from __future__ import annotations

from typing import Any

import numpy as np


def imagenet_names(application: Any) -> list[str]:
    """Return the names of ImageNet's classes, which a module of ``keras.applications`` downloads once."""
    return [rows[0][1] for rows in application.decode_predictions(np.eye(1000, dtype="float32"), top=1)]


def is_failed_download(error: Exception) -> bool:
    """Return whether an error says that a download failed: Keras then raises a bare Exception."""
    return type(error) is Exception
