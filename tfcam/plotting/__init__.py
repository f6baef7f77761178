"""Pictures of heatmaps and of numbers."""

from tfcam.plotting.figures import overlay, plot
from tfcam.plotting.intervals import intervals_figure
from tfcam.plotting.pixels import blend

__all__ = ["blend", "intervals_figure", "overlay", "plot"]
