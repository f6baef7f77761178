"""The loops of the library: chunks of perturbations, classes, variants and steps, one after the other."""

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


def summed_in_turn(function: Callable[[Any], tf.Tensor], elements: tf.Tensor, zeros: tf.Tensor) -> tf.Tensor:
    """Return the sum, from zeros of its shape, of what a function gives for each element, holding one at a time."""
    return tf.foldl(
        lambda total, element: total + function(element), elements, initializer=zeros, parallel_iterations=1
    )


def repeated(function: Callable[[tf.Tensor, Any], Any], state: Any, times: int) -> Any:
    """Return a state after a function of the step, from 1, and the state has changed it so many times."""
    return tf.foldl(
        lambda last, step: function(step, last), tf.range(1, times + 1), initializer=state, parallel_iterations=1
    )
