"""The metrics, written out slowly in NumPy: one image, one pixel at a time."""

import numpy as np


def scaled(heatmap):
    """Return a map from 0 to 1."""
    return (heatmap - heatmap.min()) / (heatmap.max() - heatmap.min())


def in_order(heatmap):
    """Return the pixels from the most relevant one; alike ones in reading order."""
    pixels = [(-heatmap[i, j], i, j) for i in range(heatmap.shape[0]) for j in range(heatmap.shape[1])]
    return [(i, j) for _, i, j in sorted(pixels)]


def seen_through(image, heatmap, baseline=0.0):
    """Return an image where its map is 1, the baseline where it is 0."""
    mask = scaled(heatmap)[..., None]
    return image * mask + baseline * (1 - mask)


def average_drop(score, image, heatmap):
    p, o = score(image), score(seen_through(image, heatmap))
    return 100 * max(0, p - o) / p


def average_increase(score, image, heatmap):
    return 100.0 if score(seen_through(image, heatmap)) > score(image) else 0.0


def average_gain(score, image, heatmap):
    p, o = score(image), score(seen_through(image, heatmap))
    return 100 * max(0, o - p) / (1 - p)


def average_drop_in_deletion(score, image, heatmap):
    p, o = score(image), score(image * (1 - scaled(heatmap)[..., None]))
    return 100 * max(0, p - o) / p


def average_drop_without_signs(score, image, heatmap):
    p, o = score(image), score(seen_through(image, np.abs(heatmap), baseline=0.5))
    return 100 * max(0, p - o) / p


def average_drop_of_half_the_pixels(score, image, heatmap):
    seen = np.zeros_like(image)
    pixels = in_order(heatmap)
    for i, j in pixels[: len(pixels) // 2]:
        seen[i, j] = image[i, j]
    return 100 * max(0, score(image) - score(seen)) / score(image)


def drop_in_confidence(score, image, heatmap):
    mask = np.maximum(heatmap, 0) / heatmap.max()
    return 100 * max(0, score(image) - score(image * mask[..., None]))
