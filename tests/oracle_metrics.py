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


def blurred(image):
    """Return an image of 96 pixels blurred by a window of 5, as 11 are to 224, reflected at its borders."""
    radius, deviation = 2, 5 * 96 / 224
    window = np.exp(-0.5 * (np.arange(-radius, radius + 1) / deviation) ** 2)
    window = np.outer(window, window) / window.sum() ** 2
    padded = np.pad(image.astype(float), [(radius, radius), (radius, radius), (0, 0)], mode="reflect")
    result = np.zeros(image.shape)
    for i in range(image.shape[0]):
        for j in range(image.shape[1]):
            around = padded[i : i + 2 * radius + 1, j : j + 2 * radius + 1]
            result[i, j] = np.einsum("ab,abc->c", window, around)
    return result


def area_of_steps(score, start, end, heatmap, cuts):
    """Return the area under the curve of an image that becomes another, pixel by pixel."""
    pixels, image, scores, gone = in_order(heatmap), start.astype(float), [], 0
    for cut in cuts:
        for i, j in pixels[gone:cut]:
            image[i, j] = end[i, j]
        gone = cut
        scores.append(score(image))
    shares = [cut / len(pixels) for cut in cuts]
    return sum((b - a) * (p + q) / 2 for a, b, p, q in zip(shares, shares[1:], scores, scores[1:], strict=False))


def deletion(score, image, heatmap):
    return area_of_steps(score, image, np.zeros(image.shape), heatmap, range(0, 96 * 96 + 1, 96))


def deletion_of_thirty_percent(score, image, heatmap):
    end = np.ones(image.shape) * [9.0, 40.0, 100.0]
    return area_of_steps(score, image, end, heatmap, [0, 2764, 5529, 8294, 9216])


def deletion_of_pixels(score, image, heatmap):
    end = np.ones(image.shape) * image.mean(axis=(0, 1))
    return area_of_steps(score, image, end, heatmap, [0, 1500, 3000, 4500, 6000, 7500, 9000, 9216])


def insertion(score, image, heatmap):
    return area_of_steps(score, blurred(image), image, heatmap, range(0, 96 * 96 + 1, 96))
