"""Second derivatives of the scores."""

from __future__ import annotations

import tensorflow as tf

from tfcam.engine.run import Run
from tfcam.graph.op_types import op_type
from tfcam.graph.traversal import ancestors, gradients_of


def curvature(run: Run, layer: int) -> tf.Tensor:
    """Return the Hessian of the scores with respect to the activations of a layer, times the activations."""
    activations = tf.identity(run.activations[layer])
    if any(op_type(operation).family == "call" for operation in ancestors(run.scores().op)):
        # TensorFlow takes no derivatives forwards through a loop or a function, such as a recurrent layer's.
        [gradient] = gradients_of(run.head(activations, layer).scores(), [activations])
        along = gradients_of(gradient * tf.stop_gradient(activations), [activations])[0]
        return tf.zeros_like(activations) if along is None else along
    # Elsewhere forwards over backwards: backwards over backwards pads the channels of a concatenation's gradient,
    # and oneDNN loses such a padding before a convolution (TensorFlow 2.21).
    with tf.autodiff.ForwardAccumulator(activations, activations) as accumulator:
        gradients = run.head(activations, layer).gradients()[layer]
    return accumulator.jvp(gradients, unconnected_gradients=tf.UnconnectedGradients.ZERO)
