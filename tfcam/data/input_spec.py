"""The inputs of a model: as it declares them, or as its first batch shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

from tfcam.backend.keras_compat import infer, input_names, signature
from tfcam.backend.processor import one_of_zeros, remedy
from tfcam.backend.symbolic_call import Untraceable, run_symbolically, specs_of
from tfcam.data.validation import Inputs, as_tensors, is_list_of_images, require_images

_REFUSALS = (ValueError, TypeError, AttributeError, LookupError, tf.errors.OpError)


class InputSpec:
    """Whether the inputs of a model are one batch or one image, one input or several, integers or floats.

    Attributes
    ----------
    name : str
        The model's.
    declared : structure of tf.TensorSpec or None
        What the model declares of its inputs. None: only running it can tell, and the first batch does.
    """

    def __init__(self, model: Any) -> None:
        self._model, self.name = model, model.name
        self._declare()
        self._takes_several = self._must_know_sizes = False
        self._needs_floats: dict[tuple[tf.DType, ...], bool] = {}

    def _declare(self) -> None:
        self.declared = self._specs = signature(self._model)
        self._names = [] if self.declared is None else input_names(self._model)

    @property
    def rank(self) -> int | None:
        """The rank of a batch of the first input; None before it is known."""
        return None if self._specs is None else len(tf.nest.flatten(self._specs)[0].shape)

    def tensors(self, inputs: Any) -> Any:
        """Return a batch as the tensors that the model takes, checked; the first batch builds a model that is not."""
        flat = [] if self.declared is None else tf.nest.flatten(self.declared)
        takes_texts = any(spec.dtype == tf.string for spec in flat) or (
            not flat and not isinstance(inputs, (str, Path))
        )
        require_images(inputs, takes_texts, len(flat) != 1)
        if self._specs is None:
            self._takes_several = isinstance(inputs, list) and is_list_of_images(inputs) and self._runs_on(inputs)
        if self._takes_several and isinstance(inputs, list):
            inputs = Inputs(inputs)
        if self.declared is not None:
            return as_tensors(inputs, self.declared, self._names)
        tensors = self._as_taken(as_tensors(inputs, None))
        if self._specs is None:
            self._require_to_run(tensors)
            self._declare()
            return tensors if self.declared is None else self.tensors(inputs)
        if not _are_alike(self._specs, tensors):
            self._require_to_run(tensors)
        return tensors

    def _as_taken(self, tensors: Any) -> Any:
        """Return tensors, or TensorSpecs, with integers as floats where the model does not run on integers."""
        dtypes = tuple(tensor.dtype for tensor in tf.nest.flatten(tensors))
        if dtypes not in self._needs_floats:
            sample = tf.nest.map_structure(one_of_zeros, tensors)
            # Floats first: a model that is built on integers may not take floats afterwards.
            self._needs_floats[dtypes] = (
                _holds_integers(tensors) and self._runs(_floats(sample)) and not self._runs(sample)
            )
        return _floats(tensors) if self._needs_floats[dtypes] else tensors

    def specs(self, tensors: Any) -> Any:
        """Return the TensorSpecs that a batch is traced for; images of a second size are traced for any."""
        if self.declared is not None and not self._must_know_sizes:
            return self.declared
        specs = specs_of(tensors)
        if self._must_know_sizes:
            return specs
        if self._specs is None:
            self._specs = specs
        if not _are_alike(self._specs, specs):
            return specs
        if not all(map(tf.TensorSpec.is_compatible_with, tf.nest.flatten(self._specs), tf.nest.flatten(specs))):
            general = tf.nest.map_structure(_of_either, self._specs, specs)
            try:
                run_symbolically(self._model, general)
            except Untraceable:
                self._must_know_sizes = True
                return specs
            self._specs = general
        return self._specs

    def give_sizes(self) -> bool:
        """Trace the model for the sizes of each batch from now on; return whether it leaves any size open."""
        is_open = self.declared is None or any(None in spec.shape[1:] for spec in tf.nest.flatten(self.declared))
        self._must_know_sizes = is_open
        return is_open

    @property
    def knows_sizes(self) -> bool:
        """Whether the model is traced for the sizes of each batch."""
        return self._must_know_sizes

    def batch_specs(self, specs: Any) -> Any:
        """Return the TensorSpecs of the batches made of a dataset's elements, be they batches or images."""
        if self.declared is not None and not self._must_know_sizes:
            return self.declared
        like = tf.nest.map_structure(lambda spec: tf.TensorSpec(spec.shape, _kept(spec.dtype)), specs)
        return self.specs(self._as_taken(like))

    def is_one_image(self, inputs: Any) -> bool:
        """Whether an element of a dataset is one image, not a batch."""
        if self.rank is not None:
            return int(tf.rank(tf.nest.flatten(inputs)[0])) == self.rank - 1
        return not self._runs_on(inputs) and self._runs_on(tf.nest.map_structure(lambda part: part[None], inputs))

    def _require_to_run(self, tensors: Any) -> None:
        error = self._refusal(tensors)
        if error is None:
            return
        if remedy(error):
            raise ValueError(f"Model {self.name!r} cannot run here. {remedy(error)}") from error
        one = tf.nest.map_structure(lambda tensor: tensor[None], tensors)
        hint = " It takes it as one image: add a batch axis, images[None]." if self._runs(one) else ""
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in tf.nest.flatten(tensors))
        raise ValueError(
            f"Model {self.name!r} cannot be run on a batch of shape {shapes}.{hint} It said: "
            f"{type(error).__name__}: {error}"
        ) from error

    def _runs_on(self, inputs: Any) -> bool:
        """Whether the model runs on the values of inputs as floats, or on integers as they are."""
        tensors = tf.nest.map_structure(lambda part: tf.cast(part, _kept(tf.convert_to_tensor(part).dtype)), inputs)
        return self._runs(_floats(tensors)) or (_holds_integers(tensors) and self._runs(tensors))

    def _runs(self, tensors: Any) -> bool:
        return self._refusal(tensors) is None

    def _refusal(self, tensors: Any) -> Exception | None:
        """Return what the model raises when it is run on the first image of a batch, which builds it."""
        try:
            infer(self._model, tf.nest.map_structure(lambda tensor: tensor[:1], tensors))
        except _REFUSALS as error:
            return error
        return None


def _kept(dtype: tf.DType) -> tf.DType:
    """Return the dtype that an undeclared input keeps: integers are no floats to a model that converts them."""
    return tf.float32 if dtype.is_floating else dtype


def _holds_integers(tensors: Any) -> bool:
    return any(tensor.dtype != tf.float32 for tensor in tf.nest.flatten(tensors))


def _floats(tensors: Any) -> Any:
    """Return tensors, or TensorSpecs, as float32; texts stay."""

    def as_float(part: Any) -> Any:
        if part.dtype == tf.string:
            return part
        return tf.TensorSpec(part.shape) if isinstance(part, tf.TensorSpec) else tf.cast(part, tf.float32)

    return tf.nest.map_structure(as_float, tensors)


def _are_alike(specs: Any, tensors: Any) -> bool:
    """Whether a batch has the structure and the ranks of another."""
    try:
        tf.nest.assert_same_structure(specs, tensors)
    except (ValueError, TypeError):
        return False
    pairs = zip(tf.nest.flatten(specs), tf.nest.flatten(tensors), strict=True)
    return all(
        len(spec.shape) == len(tensor.shape) and spec.shape[-1] in (None, tensor.shape[-1]) for spec, tensor in pairs
    )


def _of_either(one: tf.TensorSpec, other: tf.TensorSpec) -> tf.TensorSpec:
    """Return the most special TensorSpec of both; where their dtypes differ, the other one."""
    if one.dtype != other.dtype:
        return other
    return tf.TensorSpec([a if a == b else None for a, b in zip(one.shape, other.shape, strict=True)], one.dtype)
