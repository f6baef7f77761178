"""Guided Grad-CAM."""

from __future__ import annotations

import tensorflow as tf

from tfcam.engine import Run
from tfcam.graph.guided_backprop import guidance, is_guided
from tfcam.methods.grad_cam import GradCAM


class GuidedGradCAM(GradCAM):
    r"""Which fine details do the regions that raise the score consist of?

    .. math:: L = U\big(L^{\text{Grad-CAM}}\big) \odot \max_c \big|G_c\big|

    where :math:`G` is the guided backpropagation of the score to the channels c of the image: a gradient that passes
    each ReLU only where both its input and the gradient itself are positive. ReLUs are found in the model's graph,
    those of layers, of activation arguments and of functions alike, and ReLU6 with them.
    Cost: two forward passes, one backward pass through the head, and one to the pixels.

    Warnings
    --------
    Guided backpropagation shows edges, whatever the class and even for weights that are random (Adebayo et al., Sanity
    Checks for Saliency Maps, NeurIPS 2018): trust the place, Grad-CAM's, not the details. Without ReLUs in the model,
    it is the plain gradient, and a warning says so.

    References
    ----------
    Selvaraju et al., Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization, ICCV 2017,
    section 3.2; Springenberg et al., Striving for Simplicity: The All Convolutional Net, ICLR 2015.
    """

    name = "guided-grad-cam"
    question = "which fine details do the regions that raise the score consist of?"
    cost = "two forward passes, the head backwards, one backward pass to the pixels"
    cost_class = "few"
    sums_channels = False
    maps_inputs = True

    def maps(self, run: Run) -> list[tf.Tensor]:
        """Return the maps of each layer, of the grid of the input."""
        with guidance():
            guided = run.rerun(run.source())
        [gradient] = guided.gradients_of_inputs(guided.scores(), [])
        if gradient is None:
            raise ValueError(
                "Guided Grad-CAM goes back to the input, and the score has no gradient for this one, such as the words "
                "of a text: take GradCAM."
            )
        strength = tf.reduce_max(tf.abs(tf.cast(gradient, tf.float32)), axis=-1)
        maps = [tf.nn.relu(one) for one in super().maps(run)]
        return [run.placement.resized(one, layer) * strength for layer, one in enumerate(maps)]

    def findings(self, run: Run) -> dict[str, tf.Tensor]:
        """Add that there is no ReLU to go back through."""
        found = super().findings(run)
        if not is_guided(tf.nest.flatten(run.predictions)[0]):
            found[
                "the model has no ReLU to guide the gradient through, so it is the plain gradient, which is ragged: "
                "take GradCAM"
            ] = tf.constant(True)
        return found
