"""Keras 3 and tf_keras: their differences, and their private attributes.

No other file reads a private attribute of a model, layer or tensor, and none but those of the demonstration and the
command line imports a Keras package.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.python.autograph.core import ag_ctx


def base_class(model: Any) -> type:
    """Return the class whose ``__call__`` every layer of the model's Keras passes through."""
    for cls in type(model).__mro__:
        if cls.__name__ == "Operation" and cls.__module__.startswith("keras"):
            return cls
    for cls in type(model).__mro__:
        if cls.__name__ == "Layer" and "base_layer" in cls.__module__:
            return cls
    hint = ""
    if isinstance(model, (str, Path)):
        hint = f" Load it first: keras.models.load_model({str(model)!r})."
    raise TypeError(f"model must be a Keras model (keras.Model or tf_keras.Model), got {type(model).__name__!r}.{hint}")


def frame_wrapper(model: Any) -> type | None:
    """Return Keras 3's ``TimeDistributed``; None for a legacy model, whose own folds the frames itself."""
    return importlib.import_module("keras").layers.TimeDistributed if _is_keras_3(model) else None


def call_on_all_frames(wrapper: Any, inputs: tf.Tensor, training: Any = None, mask: Any = None) -> Any:
    """Return what a ``TimeDistributed`` layer gives, of all frames in one call: they are folded into the batch.

    Keras calls the layer inside once for each frame, and where their number is open, in a loop which Keras 3.15 runs
    over the batch by mistake.
    """
    if not isinstance(inputs, tf.Tensor):
        inputs = tf.convert_to_tensor(inputs)

    def folded(tensor: tf.Tensor) -> tf.Tensor:
        known = tensor.shape[2:]
        sizes = tf.concat([[-1], tf.shape(tensor)[2:]], axis=0)
        return tf.ensure_shape(tf.reshape(tensor, sizes), [None, *known])

    def unfolded(tensor: tf.Tensor) -> tf.Tensor:
        known = tensor.shape[1:]
        sizes = tf.concat([tf.shape(inputs)[:2], tf.shape(tensor)[1:]], axis=0)
        return tf.ensure_shape(tf.reshape(tensor, sizes), [*inputs.shape[:2], *known])

    arguments = {"training": training} if wrapper.layer._call_has_training_arg else {}
    if mask is not None and wrapper.layer._call_has_mask_arg:
        arguments["mask"] = folded(tf.convert_to_tensor(mask))
    return tf.nest.map_structure(unfolded, wrapper.layer.call(folded(inputs), **arguments))


def is_made_anew(operation: Any, parent: Any) -> bool:
    """Whether a layer makes this operation each time it is called, as a ZeroPadding2D its Pad, so that none stays."""
    if hasattr(operation, "get_weights"):
        return False
    # Those of a model's own graph, such as x + y, are made with it.
    return not any(operation is one for one in getattr(parent, "operations", ()))


def written_order(parent: Any, layer: Any) -> list[int]:
    """Return for each call of a layer, in the order that a functional model makes them, which one it is as written.

    Empty where the parent is no functional model, whose calls run as they are written, and where there is one call.
    """
    # Both packages run the nodes of a graph by their depth, and keep them, and those of a layer, in private attributes.
    mine = getattr(layer, "_inbound_nodes", ())
    if len(mine) < 2:
        # The nodes of a deep network are not looked through for each of its layers.
        return []
    by_depth = getattr(parent, "_nodes_by_depth", None) or getattr(
        getattr(parent, "_functional", None), "_nodes_by_depth", {}
    )
    run = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]
    ran = [node for node in run if getattr(node, "operation", getattr(node, "layer", None)) is layer]
    written = [node for node in mine if any(node is one for one in ran)]
    places = {id(node): place for place, node in enumerate(written)}
    return [places[id(node)] for node in ran] if len(places) == len(ran) else []


def is_keras(model: Any) -> bool:
    """Whether this is a model of Keras 3 or tf_keras, rather than another function."""
    try:
        return bool(base_class(model))
    except TypeError:
        return False


def _is_keras_3(model: Any) -> bool:
    return base_class(model).__name__ == "Operation"


def require_tensorflow(model: Any) -> None:
    """Refuse what is no Keras model, and a Keras 3 model that runs on another backend."""
    if not _is_keras_3(model):
        return
    import keras

    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            f"tfcam explains TensorFlow models, but Keras runs on the {keras.backend.backend()!r} backend here; set "
            "KERAS_BACKEND=tensorflow before Keras is imported."
        )


def signature(model: Any) -> Any | None:
    """Return the structure of the model's inputs as TensorSpecs with a free batch size; None before it is built."""
    try:
        inputs = model.inputs
    except (AttributeError, ValueError):
        inputs = None
    if not inputs:
        return None
    # `inputs` is flat. Both packages keep the structure that a model is called with in a private attribute, that of a
    # Keras 3 Sequential in its functional model, which is private too.
    holder = model if hasattr(model, "_inputs_struct") else getattr(model, "_functional", None)
    structure = getattr(holder, "_inputs_struct", getattr(model, "_nested_inputs", None))
    if structure is None:
        structure = inputs[0] if len(inputs) == 1 else list(inputs)
    if isinstance(structure, (list, tuple)) and len(structure) == 1:
        structure = structure[0]
    return tf.nest.map_structure(
        lambda tensor: tf.TensorSpec((None, *tuple(tensor.shape)[1:]), tf.as_dtype(tensor.dtype)), structure
    )


def built_signature(model: Any) -> Any | None:
    """Return the structure of the inputs that a model was first called on, as TensorSpecs of floats; None before."""
    config = model.get_build_config() if getattr(model, "built", False) else None
    shapes = (config or {}).get("input_shape")

    def is_shape(part: Any) -> bool:
        return isinstance(part, (tuple, list)) and len(part) > 0 and all(isinstance(n, (int, type(None))) for n in part)

    def specs(part: Any) -> Any:
        if is_shape(part):
            return tf.TensorSpec((None, *part[1:]))
        if isinstance(part, dict):
            return {name: specs(one) for name, one in part.items()}
        return [specs(one) for one in part]

    return specs(shapes) if shapes else None


def takes_any_batch(model: Any) -> bool:
    """Whether a model declares no batch size."""
    try:
        inputs = model.inputs
    except (AttributeError, ValueError):
        return True
    return all(tensor.shape[0] is None for tensor in inputs or [])


def input_names(model: Any) -> list[str]:
    """Return the names of the inputs of a model that is built, flat."""
    # The tensors of tf_keras have names of their own.
    return list(getattr(model, "input_names", None) or [tensor.name for tensor in model.inputs])


def infer(model: Any, inputs: Any) -> Any:
    """Run a model in inference mode; a function is called as it is."""
    if not is_keras(model):
        return model(inputs)
    if _is_keras_3(model):
        return model(inputs, training=False)
    # tf_keras hands `training` on to a call() that does not take it; only a private attribute tells. And its fit and
    # predict turn a Python `if` on a tensor into a tf.cond, unlike those of Keras 3; TensorFlow's context asks for it.
    options = {"training": False} if getattr(model, "_expects_training_arg", True) else {}
    with ag_ctx.ControlStatusCtx(ag_ctx.Status.ENABLED):
        return model(inputs, **options)


@contextlib.contextmanager
def keeping_losses(model: Any) -> Iterator[None]:
    """Leave the model's own losses as they were, whatever its layers add while they are traced."""
    # Both packages collect the losses of a call, tensors of the graph it ran in, in private attributes: lists that are
    # emptied, and tf_keras in one more, which it keeps for each thread and exchanges.
    layers = layers_of(model)
    kept = [
        (collection, copy.copy(collection))
        for layer in layers
        for name in ("_losses", "_loss_ids")
        if isinstance(collection := vars(layer).get(name), (list, set))
    ]
    eager = [(layer, list(layer._eager_losses)) for layer in layers if hasattr(layer, "_eager_losses")]
    try:
        yield
    finally:
        for collection, before in kept:
            collection.clear()
            collection.extend(before) if isinstance(collection, list) else collection.update(before)
        for layer, losses in eager:
            layer._eager_losses = losses


def with_mask_of(output: tf.Tensor, tensor: tf.Tensor) -> tf.Tensor:
    """Return a tensor that stands in a layer output's place, with the mask that the layer gave it."""
    # Both packages hand a mask from layer to layer as a private attribute of the tensor, so that a copy loses it.
    if hasattr(output, "_keras_mask"):
        tensor._keras_mask = output._keras_mask
    return tensor


def run_after(operation: tf.Operation, others: Sequence[tf.Operation]) -> None:
    """Let an operation of a graph wait for others, which were made before it."""
    # Public control_dependencies are those of operations still to be made.
    operation._add_control_inputs(others)


#: Public attributes that compile, fit, evaluate and predict set on a model; inference reads none of them.
_TRAINING = {
    *("compiled", "compiled_loss", "compiled_metrics", "loss", "optimizer", "history"),
    *("stop_training", "stop_evaluating", "stop_predicting", "run_eagerly", "jit_compile", "steps_per_execution"),
    *("train_function", "train_tf_function", "test_function", "predict_function"),
    *("_compile_config", "_compiled_trainable_state", "_eval_epoch_iterator", "_pss_evaluation_shards"),
}
#: What says how weights are made and trained, in the names of public attributes.
_OF_WEIGHTS = ("_initializer", "_regularizer", "_constraint")


def layers_of(model: Any) -> list[Any]:
    """Return a model and all layers inside of it, at any depth."""
    # Public `layers` stops at the first level, and at a layer that is no model but has layers of its own.
    return list(model._flatten_layers())


def settings_of(layer: Any) -> list[str]:
    """Return the names of the attributes that a layer computes with; at least two."""
    # A layer's variables and its policy stand in private attributes; no other private one is a setting.
    # In the first versions of Keras 3 the policy is a public one.
    names = ["_dtype_policy" if hasattr(layer, "_dtype_policy") else "dtype_policy", "built"]
    for name, value in vars(layer).items():
        is_setting = isinstance(value, (bool, int, float, str, tuple, type(None))) or callable(value)
        is_read = not name.startswith("_") and name not in _TRAINING and not name.endswith(_OF_WEIGHTS)
        if hasattr(value, "assign") or (is_setting and is_read):
            names.append(name)
    return names


def is_of_keras(value: Any) -> bool:
    """Whether the class of an object is one of Keras's or TensorFlow's own."""
    return type(value).__module__.split(".")[0] in ("keras", "tf_keras", "tensorflow")


def own_attributes(layer: Any) -> dict[str, Any]:
    """Return what a layer of the user's class holds beside what Keras gives every layer and model."""
    # Keras keeps what it counts and collects in private attributes, which a layer and a model of nothing have too.
    of_keras = _attributes_of_all(base_class(layer))
    return {
        name: value
        for name, value in vars(layer).items()
        if not (name in of_keras or name in _TRAINING or name.startswith("_self_"))
    }


@functools.cache
def _attributes_of_all(base: type) -> frozenset[str]:
    package = importlib.import_module(base.__module__.split(".")[0])
    return frozenset(vars(package.layers.Layer())) | frozenset(vars(package.Model()))
