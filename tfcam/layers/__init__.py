"""The layer calls of a model, how they are grids of its input, and choosing among them."""
