"""Pictures: images as pixels, figures of heatmaps, intervals of numbers."""
