"""CAM."""

from __future__ import annotations

import tensorflow as tf

from tfcam.engine import Run
from tfcam.graph.cam_head import obstacle
from tfcam.methods.base import ChannelWeighting, spatial_axes


class CAM(ChannelWeighting):
    r"""Which regions does the class's own layer of weights respond to?

    .. math:: L = \sum_k W_{kc} A_k

    for a head of a global average pooling and one linear layer with the weights W. With ``signed=True``, as in the
    paper, the mean of the map is the logit without its bias.
    Cost: one forward pass.

    Warnings
    --------
    Any other head, such as a hidden layer, a flattening or a maximum, has no such weights, and is refused: Grad-CAM is
    the same map for CAM's head, but for a factor, and defined for every other.

    References
    ----------
    Zhou et al., Learning Deep Features for Discriminative Localization, CVPR 2016, equation 2.
    """

    name = "cam"
    family = "decomposition"
    question = "which regions does the class's own layer of weights respond to?"
    cost = "one forward pass"
    cost_class = "forward"
    paper = "Zhou et al., CVPR 2016"
    needs = "pooled head"

    def maps(self, run: Run) -> list[tf.Tensor]:
        """Return the maps of each layer."""
        for layer in range(len(run.activations)):
            if found := obstacle(run.tensors[layer], tf.nest.flatten(run.outputs)[0]):
                raise ValueError(
                    f"CAM needs a global average pooling and one linear layer behind conv_layer "
                    f"{run.layers[layer].address!r}, whose weights it takes; here comes {found}. Use GradCAM, which is "
                    "the same map for such a head and defined for any other."
                )
        return super().maps(run)

    def weights(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        """Return the weights of the class: behind a pooling of Z cells, the gradient is their share 1 / Z."""
        grid = spatial_axes(gradients)
        return tf.reduce_sum(gradients, grid, keepdims=True)
