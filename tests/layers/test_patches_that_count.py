"""Which layers of a transformer are listed: those whose patches the score has a gradient at, and no others."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from kinds_of_model import ROWS

import tfcam

#: Kinds that are functional, and how many tokens stand in front.
PREFIXES = {
    **{"class_token": 1, "class_token_with_dropout": 1, "class_token_and_registers": 5, "class_attention": 1},
    **{"class_token_and_distillation_token": 2, "class_token_of_fused_attention": 1, "tokens_flattened": 0},
    **{"tokens_pooled_with_class_token": 1, "tokens_pooled": 0, "mixer": 0, "tokens_pooled_by_attention": 0},
    **{"cross_attention": 0, "windows": 0, "shifted_windows": 0, "compact_transformer": 0},
}


def gradients_at_patches(model, images, layers, prefix):
    """Return for each layer whether the scores have a gradient at what stands behind the tokens in front."""
    watched = keras.Model(model.inputs, [*(layer.output for layer in layers), model.outputs[0]])

    @tf.function
    def gradients(x):
        *tensors, scores = watched(x)
        weights = tf.range(1.0, 1.0 + scores.shape[-1])
        return tf.gradients(tf.reduce_sum(scores * weights), tensors, unconnected_gradients="zero")

    found = [one.numpy() for one in gradients(images)]
    cells = [one[:, prefix if one.ndim == 3 and one.shape[1] > 12 else 0 :] for one in found]
    return [float(np.abs(one).max()) > 0 for one in cells]


@pytest.mark.parametrize("kind", PREFIXES)
def test_the_layers_that_are_listed_are_those_with_a_gradient_at_their_patches(kind):
    row = ROWS[kind]()
    layers = [one for one in row.model.layers[1:] if len(one.output.shape) in (3, 4) and one.output.shape[1] > 3]
    counts = dict(zip(layers, gradients_at_patches(row.model, row.inputs, layers, PREFIXES[kind]), strict=True))
    listed = {info.path for info in tfcam.list_layers(row.model)}
    gridless = {layer.name for layer in layers if layer.name not in listed and counts[layer]}
    assert not [layer.name for layer, count in counts.items() if layer.name in listed and not count]
    # What a mixer makes of all tokens together, and transposed channels, have no grid; nothing else is passed over.
    assert not gridless or kind == "mixer"
    assert any(counts.values()) and len(layers) > 2
