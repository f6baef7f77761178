"""One batch in, one compiled function, maps out."""

from tfcam.engine.explanation import Explanation, Explanations, ExplanationWarning, MapOptions
from tfcam.engine.prepared_model import Formula
from tfcam.engine.progress import Report
from tfcam.engine.run import Run
from tfcam.engine.session import ModelSession
from tfcam.engine.smoothing import Augment, Noise

__all__ = [
    "Augment",
    "Explanation",
    "ExplanationWarning",
    "Explanations",
    "Formula",
    "MapOptions",
    "ModelSession",
    "Noise",
    "Report",
    "Run",
]
