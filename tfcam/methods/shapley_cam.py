"""Shapley-CAM."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfcam.engine import Run
from tfcam.engine.hessian import curvature
from tfcam.engine.run import Score
from tfcam.methods.base import ChannelSum, spatial_axes
from tfcam.operators.classification import log_probability


def residual_and_softmax(score: Score) -> Score:
    """Return the score and the logarithm of its probability: the utility ReST of the paper."""

    def of(run: Any) -> tf.Tensor:
        return score(run) + log_probability(run)

    return of


class ShapleyCAM(ChannelSum):
    r"""Which regions raise the score, if a feature map is to get its share of what it does together with others?

    .. math:: S = z_c + \log p_c, \qquad w_k = \frac{1}{Z} \sum_{ij} \Big(g - \frac{1}{2} H A\Big)_{ijk}, \qquad
              L = \mathrm{ReLU}\Big(\sum_k w_k A_k\Big)

    where :math:`g` and :math:`H` are the gradient and the Hessian of :math:`S` with respect to the activations: the
    Shapley value of a feature map, approximated to second order. Scores with an operator of their own stay as they are.
    Cost: one forward pass, one backward pass through the head, and both through the head again with their derivatives.

    Parameters
    ----------
    utility : str
        ``"rest"``: the score and the logarithm of its probability, as above. ``"score"``: the score alone, as
        pytorch-grad-cam explains it; that of a logit behind ReLUs is Grad-CAM.
    form : str
        ``"mean"``: weights of the channels. ``"hires"``: :math:`(g - HA/2) \odot A` cell by cell, Shapley-CAM-H.
        ``"elementwise"``: the positive part of that, Shapley-CAM-E.

    Warnings
    --------
    Of a logit behind ReLUs, the Hessian is zero: it is :math:`\log p_c` that tells Shapley-CAM from Grad-CAM, and the
    probability of another class that moves the map.

    References
    ----------
    Cai, CAMs as Shapley Value-based Explainers, 2025, arXiv:2501.06261.
    """

    name = "shapley-cam"
    question = "which regions raise the score, each feature map with its share of what several do together?"
    cost = "one forward pass, the head backwards, the head again both ways with derivatives"
    cost_class = "few"
    paper = "Cai, 2025"
    utility, form = "rest", "mean"

    def __init__(self, *arguments: Any, utility: str = "rest", form: str = "mean", **named: Any) -> None:
        if utility not in ("rest", "score"):
            raise ValueError(f"utility={utility!r} is unknown; choose 'rest' or 'score'.")
        if form not in ("mean", "hires", "elementwise"):
            raise ValueError(f"form={form!r} is unknown; choose 'mean', 'hires' or 'elementwise'.")
        self.utility, self.form = utility, form
        super().__init__(*arguments, **named)

    def rescored(self, run: Run) -> Run:
        """Return the run of a classification with the utility ReST for its score."""
        if self.utility == "score" or not self.operator.has_probability:
            return run
        return run.scored(residual_and_softmax)

    def maps(self, run: Run) -> list[tf.Tensor]:
        """Return the maps of each layer."""
        each = enumerate(zip(run.activations, run.gradients(), strict=True))
        return [self.combine(a, g - 0.5 * curvature(run, layer)) for layer, (a, g) in each]

    def contributions(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        """Return what the channels contribute, from gradients less half of their change."""
        if self.form == "mean":
            return tf.reduce_mean(gradients, spatial_axes(gradients), keepdims=True) * activations
        product = gradients * activations
        return product if self.form == "hires" else tf.nn.relu(product)
