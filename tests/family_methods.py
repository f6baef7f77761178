"""One method of each family, as short as can be, and each written out slowly."""

import numpy as np
import tensorflow as tf

from tfcam.methods.base import ActivationPerturbation, DecompositionMethod, InputPerturbation
from tfcam.ops.masks import along, weighted


class MeanActivation(DecompositionMethod):
    def combine(self, activations):
        return tf.reduce_mean(activations, axis=-1)


class Ablation(ActivationPerturbation):
    """How much of the score goes with each channel?"""

    def masks(self, activations, indices):
        rank = activations.shape.rank
        return along(1.0 - tf.one_hot(indices, activations.shape[-1]), (1, rank), rank + 1)

    def combine(self, features, scores, perturbed):
        return weighted(features, scores[:, None] - perturbed)


class Dimming(InputPerturbation):
    """How much does the score rise as the light goes out? As many steps as there are channels, each weighting one."""

    def masks(self, features, indices, images):
        light = tf.cast(indices + 1, tf.float32) / (features.shape[-1] + 1)
        return along(light, (1,), images.shape.rank)

    def combine(self, features, scores, perturbed):
        return weighted(features, perturbed - scores[:, None])


def mean_activation(body, head, images, weights):
    return np.asarray(body(images), "float64").mean(axis=-1)


def _scores(outputs, weights):
    return (np.asarray(outputs, "float64") * weights).sum(axis=-1)


def ablation(body, head, images, weights):
    activations = np.asarray(body(images))
    scores, maps = _scores(head(activations), weights), 0
    for k in range(activations.shape[-1]):
        without = activations.copy()
        without[..., k] = 0
        drop = scores - _scores(head(without), weights)
        maps = maps + drop.reshape(-1, *[1] * (activations.ndim - 2)) * activations[..., k]
    return maps


def dimming(body, head, images, weights):
    activations = np.asarray(body(images))
    channels, scores, maps = activations.shape[-1], _scores(head(body(images)), weights), 0
    for k in range(channels):
        rise = _scores(head(body(images * np.float32((k + 1) / (channels + 1)))), weights) - scores
        maps = maps + rise.reshape(-1, *[1] * (activations.ndim - 2)) * activations[..., k]
    return maps


#: A method of each family but that of gradients, and the same of two plain functions, ``head(body(images))``.
FAMILIES = {
    "decomposition": (MeanActivation, mean_activation),
    "activation perturbation": (Ablation, ablation),
    "input perturbation": (Dimming, dimming),
}
