"""Which tensor is explained: the layer calls of a model, their grids, and choosing among them."""

from tfcam.layers.alignment import Align, Alignment, EffectiveField
from tfcam.layers.info import LayerInfo
from tfcam.layers.input_grid import InputGrid
from tfcam.layers.listing import list_layers
from tfcam.layers.trace import LayerCall, Trace
from tfcam.layers.traced_model import TracedModel

__all__ = [
    "Align",
    "Alignment",
    "EffectiveField",
    "InputGrid",
    "LayerCall",
    "LayerInfo",
    "Trace",
    "TracedModel",
    "list_layers",
]
