"""Loops that run one iteration at a time: over chunks, classes, variants and steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import tensorflow as tf


class Meter:
    """How far the loops of a traced function have come, and whether they are to stop: while it runs."""

    def __init__(self) -> None:
        self._done = tf.Variable(0.0, trainable=False)
        self._stopped = tf.Variable(False, trainable=False)
        #: How many loops there are, those inside of others left out.
        self.loops = 0

    @contextmanager
    def tracing(self) -> Iterator[None]:
        """Let the loops that are traced meanwhile be counted, and heed `stop`."""
        scope = _Scope(self, 1.0)
        with scope.entered():
            yield
        self.loops = scope.loops

    def start(self) -> None:
        """Begin anew."""
        self._done.assign(0.0)
        self._stopped.assign(False)

    def stop(self) -> None:
        """Let every loop end after the iteration that it is in; what the function returns then means nothing."""
        self._stopped.assign(True)

    def share_done(self) -> float:
        """Return how much is done, from 0 to 1."""
        return min(1.0, float(self._done.numpy()) / max(1, self.loops))

    def add(self, share: Any) -> None:
        """Count a share of a loop as done."""
        self._done.assign_add(tf.cast(share, tf.float32))

    def goes_on(self) -> tf.Tensor:
        """Return whether loops go on."""
        return tf.logical_not(self._stopped.read_value())


class _Scope:
    """What a loop is a share of: all of a function, or an iteration of a loop around it."""

    def __init__(self, meter: Meter, share: Any) -> None:
        self.meter, self.share, self.loops = meter, share, 0

    @contextmanager
    def entered(self) -> Iterator[None]:
        token = _scope.set(self)
        try:
            yield
        finally:
            _scope.reset(token)


_scope: ContextVar[_Scope | None] = ContextVar("scope", default=None)


def in_turn(function: Callable[[Any], Any], elements: Any, signature: Any) -> Any:
    """Return what a function gives for each element of the first axis, stacked; of one `signature`, in one trace.

    TensorFlow would run ten iterations at once. One at a time holds one in memory and leaves the cores to the kernels;
    and the oneDNN kernel of a convolution with a bias gives garbage, or crashes, where two iterations run it at once
    (TensorFlow 2.21).
    """
    each = tf.nest.flatten(elements)
    count = tf.shape(each[0])[0]
    arrays = [tf.TensorArray(dtype, size=count) for dtype in tf.nest.flatten(signature)]

    def step(number: tf.Tensor, before: list[tf.TensorArray]) -> list[tf.TensorArray]:
        results = function(tf.nest.pack_sequence_as(elements, [tensor[number] for tensor in each]))
        flat = tf.nest.flatten(results)
        return [array.write(number, result) for array, result in zip(before, flat, strict=True)]

    arrays = repeated(step, arrays, count)
    return tf.nest.pack_sequence_as(signature, [array.stack() for array in arrays])


def summed_in_turn(function: Callable[[Any], tf.Tensor], elements: tf.Tensor, zeros: tf.Tensor) -> tf.Tensor:
    """Return the sum, from zeros of its shape, of what a function gives for each element, holding one at a time."""
    count = tf.shape(elements)[0]
    return repeated(lambda number, total: total + function(elements[number]), zeros, count, counted=False)


def repeated(function: Callable[[tf.Tensor, Any], Any], state: Any, times: Any, counted: bool = True) -> Any:
    """Return a state that a function of the step, from 0, and the state has changed so many times.

    What is not counted takes no time to speak of.
    """
    outer = _scope.get()
    if outer is None:
        goes_on, step = _always, function
    else:
        outer.loops += counted
        inner, goes_on = _Scope(outer.meter, outer.share / tf.cast(times, tf.float32)), outer.meter.goes_on

        def step(number: tf.Tensor, before: Any) -> Any:
            with inner.entered():
                after = function(number, before)
            if counted and not inner.loops:
                # Once all is computed, not beside it.
                with tf.control_dependencies([getattr(one, "flow", one) for one in tf.nest.flatten(after)]):
                    inner.meter.add(inner.share)
            return after

    _, state = tf.while_loop(
        lambda number, _: (number < times) & goes_on(),
        lambda number, before: (number + 1, step(number, before)),
        (tf.constant(0), state),
        parallel_iterations=1,
    )
    return state


def _always() -> bool:
    return True


def swapped(tensor: tf.Tensor) -> tf.Tensor:
    """Return ``(N, T, ...)`` as ``(T, N, ...)``, and the reverse."""
    return tf.transpose(tensor, [1, 0, *range(2, tensor.shape.rank)])
