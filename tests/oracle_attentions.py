"""Methods of attentions as loops, of the tables that the layers tell."""

import numpy as np


def read_of(read, count):
    """Return how much each token is read behind the last attention over tokens."""
    return np.eye(count)[0] if read == "token" else np.full(count, 1 / count)


def _flow(probabilities, mixtures, read, halves):
    """Return what is read, taken back through the attentions: a table of all pairs of tokens, then a row of it."""
    count = probabilities[0].shape[-1]
    maps = []
    for image in range(len(probabilities[0])):
        relevance = np.eye(count)
        tables = [mixture[image] for mixture in mixtures]
        own, pool = (tables[:-1], tables[-1]) if read == "pool" else (tables, None)
        for table in own:
            relevance = (0.5 * (np.eye(count) + table) if halves else np.eye(count) + table) @ relevance
        row = pool[0] if pool is not None else read_of(read, count)
        maps.append(row @ relevance)
    return np.array(maps)


def attention_rollout(probabilities, gradients, of_blocks, read):
    return _flow(probabilities, [table.mean(axis=1) for table in probabilities], read, True)


def attention_relevance(probabilities, gradients, of_blocks, read):
    mixtures = []
    for table, gradient in zip(probabilities, gradients, strict=True):
        images, heads, queries, keys = table.shape
        mixture = np.zeros((images, queries, keys))
        for image in range(images):
            for head in range(heads):
                for query in range(queries):
                    for key in range(keys):
                        product = table[image, head, query, key] * gradient[image, head, query, key]
                        mixture[image, query, key] += max(product, 0) / heads
        mixtures.append(mixture)
    return _flow(probabilities, mixtures, read, False)


def _rows(read, tables):
    """Return how much each query of each attention is of what is read."""
    return [read_of(read, table.shape[2]) for table in tables]


def agcam(probabilities, gradients, of_blocks, read):
    total = 0
    for table, gradient, rows in zip(probabilities, gradients, _rows(read, probabilities), strict=True):
        # The tables are what each softmax was of.
        total = total + np.einsum("q,nhqk->nk", rows, 1 / (1 + np.exp(-table)) * np.maximum(gradient, 0))
    return total / len(probabilities)


def le_grad(probabilities, gradients, of_blocks, read):
    return np.mean([np.maximum(gradient, 0).mean(axis=(1, 2)) for gradient in of_blocks], axis=0)


ATTENTION_ORACLES = {
    "attention-rollout": attention_rollout,
    "attention-relevance": attention_relevance,
    "agcam": agcam,
    "le-grad": le_grad,
}
