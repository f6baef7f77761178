"""Poly-CAM."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfcam.engine import Run
from tfcam.methods.base import InputPerturbation, as_probability
from tfcam.ops.layout import CHANNELS_FIRST
from tfcam.ops.masks import upsampled, weighted
from tfcam.ops.pca import cells_of
from tfcam.ops.percentile import percentile
from tfcam.ops.resize import linear

#: The share of the cells of a feature map, at either end, that are left out of its range.
_OUTLIERS = 0.001


class PolyCAM(InputPerturbation):
    r"""Which fine details, seen alone or taken away, make the class likely or unlikely?

    .. math:: w_k = \mathrm{ReLU}\big(p_c(x \odot m_k) + p_c(x) - p_c(x \odot (1 - m_k))\big), \qquad
              L_l = \mathrm{ReLU}\Big(\sum_k w_k A_k\Big), \qquad
              P_l = \frac{L_l}{U(D(L_l))} \odot U(P_{l+1})

    where :math:`m_k` is feature map k, scaled from 0 to 1 but for outliers and resized to the image, and :math:`D` and
    :math:`U` resize a map to the grid of the next layer and back. Where no layer is named, l runs over the last
    activation of each size of the grid, from the coarsest to the finest.
    Cost: one forward pass, and two more for each channel of each layer; of the forms "+" and "-", one.

    Parameters
    ----------
    form : str
        ``"+-"`` as above, ``"+"``: :math:`p_c(x \odot m_k)` alone, or ``"-"``:
        :math:`\mathrm{ReLU}(p_c(x) - p_c(x \odot (1 - m_k)))`.

    Warnings
    --------
    As many forward passes as there are channels in all its layers, twice: minutes for an image of a large model. A
    masked image is none that the model was trained on.

    Notes
    -----
    Masks are resized bicubically, where the authors' code does it linearly, as here the maps are.

    References
    ----------
    Englebert et al., Poly-CAM: High resolution class activation map for convolutional neural networks, ICPR 2022,
    arXiv:2204.13359.
    """

    name = "poly-cam"
    question = "which fine details, seen alone or taken away, make the class likely or unlikely?"
    cost = "one forward pass, and two for each channel of each layer"
    paper = "Englebert et al., ICPR 2022"
    gives_one_map = True
    default_layers = "stages"
    form = "+-"

    def __init__(self, *arguments: Any, form: str = "+-", **named: Any) -> None:
        if form not in ("+-", "+", "-"):
            raise ValueError(f"form={form!r} is unknown; choose '+-', '+' or '-'.")
        self.form = form
        super().__init__(*arguments, **named)

    def rescored(self, run: Run) -> Run:
        """Return the run of a classification with the probability for its score."""
        return as_probability(run)

    def count(self, features: tf.Tensor) -> int:
        """Return the number of masks."""
        return len(self.form) * super().count(features)

    def masks(self, features: tf.Tensor, indices: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
        """Return the feature maps scaled from 0 to 1, and, from number K on, what they leave."""
        channels = super().count(features)
        chosen = tf.gather(features, indices % channels, axis=-1)
        grid = [tf.shape(chosen)[0], *[1] * (chosen.shape.rank - 2), -1]
        low, high = (tf.reshape(percentile(cells_of(chosen), share), grid) for share in (_OUTLIERS, 1.0 - _OUTLIERS))
        masks = tf.clip_by_value(tf.math.divide_no_nan(chosen - low, high - low), 0.0, 1.0)
        left = indices >= channels if self.form == "+-" else tf.fill(tf.shape(indices), self.form == "-")
        masks = tf.where(left, 1.0 - masks, masks)
        return upsampled(CHANNELS_FIRST.from_grid(masks), images)

    def combine(self, features: tf.Tensor, scores: tf.Tensor, perturbed: tf.Tensor) -> tf.Tensor:
        """Return the activations weighted by what their masks do to the score."""
        seen, left = tf.split(perturbed, 2, axis=1) if self.form == "+-" else (perturbed, perturbed)
        drop = scores[:, None] - left
        weights = {"+-": seen + drop, "+": seen, "-": drop}[self.form]
        return weighted(features, tf.nn.relu(weights))

    def maps(self, run: Run) -> list[tf.Tensor]:
        """Return one map, of the grid of the first layer."""
        *finer, refined = [tf.nn.relu(one) for one in super().maps(run)]
        resized = run.placement.resized
        for layer, one in reversed(list(enumerate(finer))):
            # Linearly: a cubic kernel undershoots beside a peak, and what is divided by nearly nothing is bright.
            around = resized(resized(one, layer, layer + 1, linear), layer + 1, layer, linear)
            refined = tf.math.divide_no_nan(one, around) * resized(refined, layer + 1, layer, linear)
        return [refined]
