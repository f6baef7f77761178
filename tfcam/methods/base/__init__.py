"""What methods share: the explainer, and families that leave a method nothing but its formula."""

from tfcam.methods.base.attention import AttentionFlow, AttentionMethod, AttentionSum
from tfcam.methods.base.explainer import Explainer
from tfcam.methods.base.method import METHODS, Method
from tfcam.methods.base.perturbation import ActivationPerturbation, InputPerturbation, as_probability
from tfcam.methods.base.single_pass import (
    ChannelSum,
    ChannelWeighting,
    DecompositionMethod,
    GradientMethod,
    spatial_axes,
)

__all__ = [
    "METHODS",
    "ActivationPerturbation",
    "AttentionFlow",
    "AttentionMethod",
    "AttentionSum",
    "ChannelSum",
    "ChannelWeighting",
    "DecompositionMethod",
    "Explainer",
    "GradientMethod",
    "InputPerturbation",
    "Method",
    "as_probability",
    "spatial_axes",
]
