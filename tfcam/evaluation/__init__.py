"""Many methods, many metrics, one answer."""
