"""FullGrad."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfcam.engine import Run
from tfcam.graph.bias_terms import biases
from tfcam.methods.base import Explainer


class FullGrad(Explainer):
    r"""Which pixels, and which features of any layer, is all of the score made of?

    .. math:: S = \sum \frac{\partial S}{\partial x} \odot x + \sum_l \sum \frac{\partial S}{\partial b_l} \odot b_l,
              \qquad L = \psi\Big(\frac{\partial S}{\partial x} \odot x\Big)
              + \sum_l \sum_k U \psi\Big(\frac{\partial S}{\partial b_{lk}} \odot b_{lk}\Big)

    where the b are all constants that the model adds: the biases of convolutions, what a batch normalisation subtracts
    and adds, and what a function that is not linear has beside its slope. :math:`\psi` takes absolute values and
    scales all channels of one layer together from 0 to 1, :math:`U` resizes to the input. The constants are found in
    the model's graph, so that the first equation holds whatever its layers are. No layer is chosen: `conv_layer` only
    says which of several inputs is explained.
    Cost: one forward pass, one backward pass to the pixels.

    Parameters
    ----------
    implicit : bool
        Whether functions that are not linear, such as SiLU, have the bias :math:`f(z) - f'(z) z`, as in the paper; the
        authors' code leaves it out.
    simple : bool
        Whether the gradients count without their biases, SimpleFullGrad of the authors' code, for models that have
        none. SmoothFullGrad is ``smooth="noise"``.

    Warnings
    --------
    Absolute values drop what speaks against the score, and each layer counts as much as any other: the map is fine,
    but tells classes less apart than Grad-CAM's. Biases of layers without a grid are left out of the map, and constants
    within a ``tf.function`` of the model's own are not seen.

    Notes
    -----
    pytorch-grad-cam scales each channel on its own, so that channels that hardly matter look like those that do, and
    sees the biases of convolutions and normalisations of two dimensions alone.

    References
    ----------
    Srinivas and Fleuret, Full-Gradient Representation for Neural Network Visualization, NeurIPS 2019, arXiv:1905.00780.
    """

    name = "full-grad"
    family = "gradient"
    question = "which pixels, and which features of any layer, is all of the score made of?"
    cost = "one forward pass, one backward pass to the pixels"
    cost_class = "few"
    paper = "Srinivas and Fleuret, NeurIPS 2019"
    gives_one_map = True
    maps_inputs = True

    def __init__(self, *arguments: Any, implicit: bool = True, simple: bool = False, **named: Any) -> None:
        self.implicit, self.simple = implicit, simple
        super().__init__(*arguments, **named)

    def maps(self, run: Run) -> list[tf.Tensor]:
        """Return one map, of the grid of the input."""
        run = run.here()
        shown = [(tf.reduce_sum(_scaled(part), axis=-1), tensor) for part, tensor in self.parts(run)]
        return [tf.add_n([one if tensor is None else run.placement.resized_part(one, tensor) for one, tensor in shown])]

    def parts(self, run: Run) -> list[tuple[tf.Tensor, tf.Tensor | None]]:
        """Return what the score owes the input, with None, and each bias that has a grid, with its tensor.

        ``(N, *grid, K)`` each.
        """
        source = tf.cast(run.source(), tf.float32)
        scores = run.scores()
        # A normalisation stops the gradient of a mean, which is zero: its share is rounding, which scaling enlarges.
        found = [
            (one, grid)
            for one in biases([tf.nest.flatten(run.inputs)], scores, self.implicit)
            if one.constant is not None and one.origin != "StopGradient" and (grid := run.placement.grid_of(one.tensor))
        ]
        *gradients, of_source = run.gradients_of_inputs(scores, [bias.tensor for bias, _ in found])
        parts: list[tuple[tf.Tensor, tf.Tensor | None]] = []
        if of_source is not None:
            parts.append((tf.cast(of_source, tf.float32) * source, None))
        for (bias, grid), gradient in zip(found, gradients, strict=True):
            if gradient is not None:
                part = gradient if self.simple else gradient * bias.constant
                parts.append((tf.cast(grid.layout.to_grid(part, tf.shape(source)[0]), tf.float32), bias.tensor))
        return parts


def _scaled(part: tf.Tensor) -> tf.Tensor:
    """Return absolute values, from 0 to 1 over all cells and channels of an image."""
    part = tf.abs(part)
    within = list(range(1, part.shape.rank))
    lowest, highest = (extreme(part, within, keepdims=True) for extreme in (tf.reduce_min, tf.reduce_max))
    return tf.math.divide_no_nan(part - lowest, highest - lowest)
