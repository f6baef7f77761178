"""Winsor-CAM."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfcam.engine import Run
from tfcam.methods.base import spatial_axes
from tfcam.methods.grad_cam import GradCAM
from tfcam.ops.normalize import unit_maximum
from tfcam.ops.percentile import percentile

#: What the least important layer keeps (the authors' code).
_LEAST = 0.1


class WinsorCAM(GradCAM):
    r"""Which regions raise the score, seen by all convolutions, none of which is to shout the others down?

    .. math:: \beta_l = \mathrm{ReLU}\Big(\frac{1}{K_l} \sum_k w_k^{(l)}\Big), \qquad
              L = \sum_l r\big(\min(\beta_l, q_p)\big) \, n\big(L^{(l)}\big)

    where :math:`w_k^{(l)}` and :math:`L^{(l)}` are Grad-CAM's weights and map at convolution l, :math:`n` scales a map
    from 0 to 1, :math:`q_p` is the percentile p of those :math:`\beta_l` that are not zero, and :math:`r` brings these
    to the range from 0.1 to 1. A low p lets early layers have their say, with p = 0 all that matter count alike.
    Cost: one forward pass, one backward pass to the first convolution.

    Parameters
    ----------
    percentile : float
        p, from 0 to 100.

    Warnings
    --------
    Most of a model's convolutions are early ones, which see edges: look at several percentiles. The maps are of the
    convolutions themselves, before their normalisation and activation, if these are layers of their own.

    Notes
    -----
    The paper takes the mean or the maximum over the channels; this is the mean. Maps are resized bicubically, where the
    authors' code takes the nearest cell.

    References
    ----------
    Wall et al., Winsor-CAM: Human-Tunable Visual Explanations from Deep Networks via Layer-Wise Winsorization,
    IEEE Transactions on Pattern Analysis and Machine Intelligence, 2026, arXiv:2507.10846.
    """

    name = "winsor-cam"
    question = "which regions raise the score, seen by all convolutions, none shouting the others down?"
    cost = "one forward pass, one backward pass to the first convolution"
    paper = "Wall et al., TPAMI 2026"
    cost_class = "few"
    gives_one_map = True
    default_layers = "convolutions"
    percentile = 99.0

    def __init__(self, *arguments: Any, percentile: float = 99.0, **named: Any) -> None:
        if not 0 <= percentile <= 100:
            raise ValueError(f"percentile={percentile} is none: it is between 0 and 100.")
        self.percentile = percentile
        super().__init__(*arguments, **named)

    def maps(self, run: Run) -> list[tf.Tensor]:
        """Return one map, of the grid of the first layer."""
        each = super().maps(run)
        weights = [self.weights(a, g) for a, g in zip(run.activations, run.gradients(), strict=True)]
        beta = tf.stack([tf.reduce_mean(w, [*spatial_axes(w), -1]) for w in weights], axis=1)
        importance = tf.unstack(self.winsorised(tf.nn.relu(beta)), axis=1)
        shares = [tf.reshape(share, [-1, *[1] * (each[0].shape.rank - 1)]) for share in importance]
        shown = [run.placement.resized(unit_maximum(tf.nn.relu(one)), layer, 0) for layer, one in enumerate(each)]
        return [tf.add_n([share * one for share, one in zip(shares, shown, strict=True)])]

    def winsorised(self, beta: tf.Tensor) -> tf.Tensor:
        """Return importances ``(N, layers)``, those above the percentile of the positive ones cut, from 0.1 to 1."""
        positive = beta > 0.0
        cut = tf.minimum(beta, percentile(beta, self.percentile / 100.0, positive))
        lowest = tf.reduce_min(tf.where(positive, cut, float("inf")), axis=1, keepdims=True)
        span = tf.reduce_max(cut, axis=1, keepdims=True) - lowest
        rescaled = tf.where(span > 0.0, _LEAST + (1.0 - _LEAST) * (cut - lowest) / span, 1.0)
        return tf.where(positive, rescaled, 0.0)
