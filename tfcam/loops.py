"""The one loop of the library: chunks of perturbations, and classes, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def in_turn(function: Callable[[Any], Any], elements: tf.Tensor, signature: Any) -> Any:
    """Return what a function gives for each element of the first axis, stacked; of one `signature`, in one trace.

    TensorFlow would run ten iterations at once. One at a time holds one in memory and leaves the cores to the kernels;
    and the oneDNN kernel of a convolution with a bias gives garbage, or crashes, where two iterations run it at once
    (TensorFlow 2.21).
    """
    return tf.map_fn(function, elements, fn_output_signature=signature, parallel_iterations=1)
