"""The metrics of what a map is, of where it is high, and of maps made again, written out slowly in NumPy."""

import itertools

import numpy as np
import scipy.signal
import scipy.stats


def conservation(score, without, contributed):
    return abs(score - sum(contributed)) / abs(score)


def sensitivity(score, without, contributed):
    losses = [score - one for one in without]
    missed = [abs(loss - one) for loss, one in zip(losses, contributed, strict=True)]
    return sum(missed) / sum(map(abs, losses))


def box_around(mask):
    rows, columns = np.where(mask)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def energy_pointing_game(heatmap, mask):
    left, top, right, bottom = box_around(mask)
    positive = np.where(heatmap > 0, heatmap, 0)
    return positive[top:bottom, left:right].sum() / positive.sum()


def relevance_mass_accuracy(heatmap, mask):
    positive = np.where(heatmap > 0, heatmap, 0)
    return (positive * mask).sum() / positive.sum()


def relevance_rank_accuracy(heatmap, mask):
    highest = np.argsort(-heatmap.ravel(), kind="stable")[: mask.sum()]
    return mask.ravel()[highest].mean()


def pointing_game(heatmap, mask, tolerance=4):
    row, column = np.unravel_index(heatmap.argmax(), heatmap.shape)
    return float(any((row - i) ** 2 + (column - j) ** 2 <= tolerance**2 for i, j in zip(*np.where(mask), strict=True)))


def iou(heatmap, mask, threshold=0.2):
    shown = heatmap >= threshold * heatmap.max()
    return np.logical_and(shown, mask).sum() / np.logical_or(shown, mask).sum()


def iou_of_half(heatmap, mask):
    return iou(heatmap, mask, 0.5)


def overlap_of_boxes(one, other):
    """Return the intersection over union of two boxes, by counting pixels."""
    size = max(*one, *other) + 1
    masks = []
    for left, top, right, bottom in (one, other):
        masks.append(np.zeros((size, size), bool))
        masks[-1][top:bottom, left:right] = True
    return (masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum()


def parts_of(shown):
    """Yield the pixels of each connected part, found by flooding."""
    left = set(zip(*np.where(shown), strict=True))
    while left:
        part, edge = set(), [left.pop()]
        while edge:
            row, column = edge.pop()
            part.add((row, column))
            for near in [(row + i, column + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]:
                if near in left:
                    left.remove(near)
                    edge.append(near)
        yield part


def box_accuracy(heatmap, mask, threshold=0.3):
    scaled = (heatmap - heatmap.min()) / (heatmap.max() - heatmap.min())
    largest = np.zeros(mask.shape, bool)
    for row, column in max(parts_of(scaled > threshold), key=len):
        largest[row, column] = True
    return float(overlap_of_boxes(box_around(largest), box_around(mask)) >= 0.5)


def rank_correlation(one, other):
    return scipy.stats.spearmanr(one.ravel(), other.ravel()).statistic


def structural_similarity(one, other, size=11, sigma=1.5):
    """Return the mean of Wang's index over the windows that lie within the image."""
    one, other = ((image - image.min()) / (image.max() - image.min()) for image in (one, other))
    bell = np.exp(-((np.arange(size) - size // 2) ** 2) / (2 * sigma**2))
    window = np.outer(bell, bell) / bell.sum() ** 2

    def mean(image):
        return scipy.signal.correlate2d(image, window, mode="valid")

    x, y = mean(one), mean(other)
    variances, together = mean(one**2) - x**2 + mean(other**2) - y**2, mean(one * other) - x * y
    return np.mean((2 * x * y + 1e-4) * (2 * together + 9e-4) / ((x**2 + y**2 + 1e-4) * (variances + 9e-4)))


def model_randomization(heatmap, others, noisy, stages):
    return np.mean([rank_correlation(heatmap, one) for one in stages])


def model_randomization_by_structure(heatmap, others, noisy, stages):
    return np.mean([structural_similarity(heatmap, one) for one in stages])


def random_logit(heatmap, others, noisy, stages):
    return np.mean([rank_correlation(heatmap, one) for one in others])


def stability(heatmap, others, noisy, stages):
    return np.mean([rank_correlation(heatmap, one) for one in noisy])


def entropy(heatmap):
    edges = np.linspace(heatmap.min(), heatmap.max(), 101)
    shares = [np.mean((heatmap >= low) & (heatmap < high)) for low, high in itertools.pairwise(edges)]
    shares[-1] += np.mean(heatmap == heatmap.max())
    return -sum(share * np.log(share) for share in shares if share)


def emprt(heatmap, others, noisy, stages):
    return (entropy(stages[-1]) - entropy(heatmap)) / entropy(heatmap)
