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


def correlation(score, image, heatmap, cells, subsets, ranked):
    """Return how the sums of a map over subsets of cells correlate with what the score loses without them."""
    size, sums, drops = len(image), [], []
    cell_of = [
        [int((i + 0.5) * cells / size) * cells + int((j + 0.5) * cells / size) for j in range(size)]
        for i in range(size)
    ]
    for subset in subsets:
        gone = np.asarray(subset)[np.asarray(cell_of)]
        sums.append(heatmap[gone].sum())
        drops.append(score(image) - score(np.where(gone[..., None], 0, image)))
    if ranked:
        sums, drops = ([1 + sum(other < one for other in values) for one in values] for values in (sums, drops))
    return np.corrcoef(sums, drops)[0, 1]


def mu_fidelity(score, image, heatmap):
    drawn = np.random.default_rng(0).random((200, 81))
    subsets = [[number in sorted(row)[:16] for number in row] for row in drawn]
    return correlation(score, image, heatmap, 9, subsets, ranked=False)


def mu_fidelity_of_ranks(score, image, heatmap):
    return correlation(score, image, heatmap, 7, np.random.default_rng(0).random((200, 49)) < 0.2, ranked=True)


def filled_in(image, gone):
    """Return an image whose missing pixels are the weighted means of their neighbours: a dense system."""
    size, unknown = len(image), {pixel: number for number, pixel in enumerate(gone)}
    matrix, known = np.eye(len(gone)), np.zeros((len(gone), image.shape[-1]))
    for (i, j), row in unknown.items():
        weights = {
            (i + a, j + b): 1 / 6 if 0 in (a, b) else 1 / 12
            for a in (-1, 0, 1)
            for b in (-1, 0, 1)
            if (a, b) != (0, 0) and 0 <= i + a < size and 0 <= j + b < size
        }
        for neighbour, weight in weights.items():
            share = weight / sum(weights.values())
            if neighbour in unknown:
                matrix[row, unknown[neighbour]] -= share
            else:
                known[row] += share * image[neighbour]
    full = image.astype(float)
    for pixel, value in zip(gone, np.linalg.solve(matrix, known), strict=True):
        full[pixel] = value
    return full


def score_of_the_rest(score, image, gone, number, noise=0.01, seed=0):
    full = filled_in(image, gone)
    drawn = np.random.default_rng([seed, number]).standard_normal(image.shape)
    for pixel in gone:
        full[pixel] += noise * image.std() * drawn[pixel]
    return score(full)


def road(score, image, heatmap):
    most, least = in_order(heatmap), in_order(-heatmap)
    counts = [round(share * len(most)) for share in (0.1, 0.25)]
    pairs = [
        (score_of_the_rest(score, image, least[:count], n), score_of_the_rest(score, image, most[:count], n))
        for n, count in enumerate(counts)
    ]
    return np.mean([(one - other) / 2 for one, other in pairs])


def road_most_relevant_first(score, image, heatmap):
    pixels = in_order(heatmap)
    rest = [score_of_the_rest(score, image, pixels[:count], n, noise=0) for n, count in enumerate((1382, 2765))]
    return np.mean(rest)


def road_least_relevant_first(score, image, heatmap):
    pixels = in_order(-heatmap)
    return score_of_the_rest(score, image, pixels[: round(0.4 * len(pixels))], 0, seed=4)


def complexity(score, image, heatmap):
    return scaled(heatmap).sum() / heatmap.size


def coherency(score, image, heatmap, explained):
    again = explained(seen_through(image, heatmap))
    return (np.corrcoef(heatmap.ravel(), again.ravel())[0, 1] + 1) / 2


def adcc(score, image, heatmap, explained):
    kept = 1 - average_drop(score, image, heatmap) / 100
    shown = 1 - complexity(score, image, heatmap)
    return 3 / (1 / coherency(score, image, heatmap, explained) + 1 / shown + 1 / kept)


def arcc(score, image, heatmap, explained):
    right = min(1, 2 * road(score, image, heatmap))
    if right <= 0:
        return 0.0
    shown = 1 - complexity(score, image, heatmap)
    return 3 / (1 / coherency(score, image, heatmap, explained) + 1 / shown + 1 / right)
