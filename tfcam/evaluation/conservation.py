"""XGrad-CAM's equation verified on a model: gradients times features plus bias terms sum to the score."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from tfcam.data.validation import batch_size_of, require_end
from tfcam.engine import ModelSession, Run
from tfcam.graph.bias_terms import BIAS, BYPASS, biases
from tfcam.operators import OperatorLike

_CLASSES, _SCORE, _FEATURES = "classes", "score", "gradient times feature"
_TERMS = (_SCORE, _FEATURES, BIAS, BYPASS)
_UNSEEN = "constants not seen in "
#: A residual below this share of the largest term is rounding, which needs no reason.
_ROUNDING = 1e-5
#: What an operation is, that is neither linear nor a function of each number alone.
_REASONS = {
    "Mul": "products of activations, as of gates",
    "MatMul": "matrix products of activations",
    "BatchMatMulV2": "matrix products of activations",
    "BatchMatMulV3": "matrix products of activations",
    "Einsum": "matrix products of activations",
    "Softmax": "softmax",
    **dict.fromkeys(
        ("Square", "SquaredDifference", "Sqrt", "Rsqrt", "Reciprocal", "Pow", "Maximum", "StopGradient"),
        "statistics of each image",
    ),
    "RealDiv": "quotients of activations",
}


@dataclass(frozen=True)
class ConservationTerms:
    """What the scores of images owe the features of a layer, and all else: ``score = features + bias + bypass``.

    Attributes
    ----------
    layer : str
        The layer whose activations are the features.
    classes : numpy.ndarray or None
        ``(N,)``: the explained classes, where it is classes that are explained.
    scores : numpy.ndarray
        ``(N,)``: the explained score of each image.
    features : numpy.ndarray
        ``(N,)``: the sum over all cells and channels of gradient times activation.
    bias : numpy.ndarray
        ``(N,)``: what the score owes the constants behind the layer: biases of convolutions and Dense layers, what a
        batch normalisation subtracts and adds, and ``f(z) - f'(z) z`` of each activation function, such as ReLU6, SiLU
        and GELU, which is zero of a ReLU.
    bypass : numpy.ndarray
        ``(N,)``: what it owes to what comes around the cells of the layer: by a skip connection, by another branch, or
        by tokens beside them, such as a class token.
    reasons : dict of numpy.ndarray
        ``(N,)`` by what it is: why residuals are far from zero, and how much of them each explains; empty where all
        are below 1e-5 of the largest term. Products
        and quotients of activations, of which gates, attention and normalisations of each image are made, are neither
        linear nor functions of each number alone. Where functions are called, whose constants are not seen, it is NaN.
    """

    layer: str
    classes: np.ndarray | None
    scores: np.ndarray
    features: np.ndarray
    bias: np.ndarray
    bypass: np.ndarray
    reasons: dict[str, np.ndarray]

    @property
    def residuals(self) -> np.ndarray:
        """``(N,)``: what is left of the scores."""
        return self.scores - self.features - self.bias - self.bypass

    @property
    def relative_residuals(self) -> np.ndarray:
        """``(N,)``: the residuals without their sign, as a share of the largest of the terms."""
        terms = np.abs([self.scores, self.features, self.bias, self.bypass])
        return np.abs(self.residuals) / np.maximum(terms.max(axis=0), np.finfo(np.float32).tiny)

    def __str__(self) -> str:
        """Return the means over the images, in words."""
        text = (
            f"{self.layer}: score {self.scores.mean():.6g} = gradient times feature {self.features.mean():.6g} "
            f"+ bias term {self.bias.mean():.6g} + around the layer {self.bypass.mean():.6g} "
            f"+ residual {self.residuals.mean():.2g}"
        )
        why = [kind if np.isnan(one).any() else f"{kind} {one.mean():.4g}" for kind, one in self.reasons.items()]
        return f"{text} ({', '.join(why)})" if why else text


def verify_conservation(
    model: Any,
    inputs: Any,
    targets: Any = None,
    conv_layer: Any = None,
    *,
    output_layer: Any = None,
    batch_size: int | None = 32,
    operator: OperatorLike = None,
    tokens: tuple[int, Sequence[int]] | None = None,
) -> ConservationTerms | list[ConservationTerms]:
    """Verify on a model the equation that XGrad-CAM is derived from.

    A network of convolutions, Dense layers, ReLUs, poolings and batch normalisations is linear around an image, so that
    its score is the sum of gradient times activation at any layer, and of gradient times bias behind it. Here the
    constants are found in the model's graph, each by its own formula, those of activation functions too, and so the
    equation is checked rather than assumed.

    Parameters
    ----------
    model, inputs, targets, conv_layer, output_layer, batch_size, operator, tokens
        As for `tfcam.Explainer` and its `explain`; logits are explained where there are some. Of a list of layers, all
        are verified in one pass.

    Returns
    -------
    ConservationTerms or list of ConservationTerms
        One for each layer of a list.

    Raises
    ------
    ValueError, TypeError
        As explainers do.

    References
    ----------
    Fu et al., Axiom-based Grad-CAM: Towards Accurate Visualization and Explanation of CNNs, BMVC 2020, equation 5.
    """
    require_end(inputs)
    session = ModelSession(model, output_layer, batch_size, operator, conv_layer, tokens=tokens)
    found = [
        session.compute(_terms, x, session.known.read(y, batch_size_of(x))) for x, y in session.pairs(inputs, targets)
    ]
    values = {name: _joined(part[name] for part in found) for name in found[0]}
    classes = values.pop(_CLASSES, None)
    layers = session.conv_layer
    each = [
        _of_layer(layer, index, classes, values) for index, layer in enumerate(np.atleast_1d(layers or []).tolist())
    ]
    return each[0] if isinstance(layers, str) else each


def _joined(parts: Iterable[tf.Tensor]) -> np.ndarray:
    whole = np.concatenate([np.asarray(part) for part in parts])
    return whole.astype(np.float64) if whole.dtype.kind == "f" else whole


def _of_layer(layer: str, index: int, classes: np.ndarray | None, values: dict[str, np.ndarray]) -> ConservationTerms:
    own = {name: value if name == _SCORE else value[:, index] for name, value in values.items()}
    reasons = {name: one for name, one in own.items() if name not in _TERMS and one.any()}
    reasons |= {name: np.full_like(one, np.nan) for name, one in reasons.items() if name.startswith(_UNSEEN)}
    found = ConservationTerms(layer, classes, own[_SCORE], own[_FEATURES], own[BIAS], own[BYPASS], reasons)
    return replace(found, reasons={}) if found.relative_residuals.max() < _ROUNDING else found


def _terms(run: Run) -> dict[str, tf.Tensor]:
    """Return the terms of the equation by their names: ``(N,)`` for the scores, ``(N, layers)`` for the others."""
    operator = run.instrumented.operator
    scores, groups = run.scores(), [[tensor] for tensor in run.tensors]
    count, layers = tf.shape(scores)[0], range(len(groups))
    terms: dict[str, list[list[tf.Tensor]]] = defaultdict(lambda: [[] for _ in layers])

    def add(name: str, owed: tf.Tensor, behind: int) -> None:
        for layer in layers:
            if behind >> layer & 1:
                terms[name][layer].append(owed)

    for layer, (activations, gradients) in enumerate(zip(run.activations, run.gradients(), strict=True)):
        add(_FEATURES, _summed(activations * gradients, count), 1 << layer)
        # A class token, beside the grid, is a way around its cells.
        add(BYPASS, _summed(_beside(run, layer), count), 1 << layer)
    add(BIAS, tf.zeros([count]), -1)
    constants = biases(groups, scores, True, tf.nest.flatten(run.inputs))
    known = [one for one in constants if one.constant is not None]
    for one in constants:
        if one.constant is None:
            add(_UNSEEN + one.origin, tf.ones([count]), one.groups)
    of_constants = run.gradients_of_inputs(scores, [one.tensor for one in known])
    for one, gradient in zip(known, of_constants[:-1], strict=True):
        if gradient is not None:
            owed = _summed(tf.cast(gradient * one.constant, tf.float32), count)
            add(_REASONS.get(one.origin, one.origin), owed, one.groups)
    columns = {name: [tf.add_n([tf.zeros([count]), *each]) for each in term] for name, term in terms.items()}
    told = operator.details(run, run.targets)
    classes = {_CLASSES: told["classes"]} if "classes" in told else {}
    return classes | {_SCORE: scores} | {name: tf.stack(each, axis=1) for name, each in columns.items()}


def _beside(run: Run, layer: int) -> tf.Tensor:
    """Return gradient times activation of what a layer has beside the cells of its grid: zeros where it has nothing."""
    layout, tensor = run.layers[layer].layout, run.tensors[layer]
    if not layout.has_borders:
        return tf.zeros_like(run.activations[layer])
    gradient = run.gradients_of_inputs(run.scores(), [tensor])[0]
    product = tf.cast(tensor * gradient, tf.float32)
    return product - layout.from_grid(layout.to_grid(product))


def _summed(tensor: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.reshape(tensor, [count, -1]), axis=1)
