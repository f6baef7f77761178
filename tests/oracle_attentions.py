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
        # What a token has of itself is no evidence; where it is half of all, the sum of the rest is kept.
        own = 0 if halves or pool is not None else np.eye(count)
        maps.append(row @ (relevance - own))
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
    """Return how much each query of each attention is of what is read; what a pooling reads, it reads of all alike."""
    return [read_of(read, table.shape[2]) for table in tables]


def agcam(probabilities, gradients, of_blocks, read):
    total = 0
    for table, gradient, rows in zip(probabilities, gradients, _rows(read, probabilities), strict=True):
        # The tables are what each softmax was of.
        total = total + np.einsum("q,nhqk->nk", rows, 1 / (1 + np.exp(-table)) * np.maximum(gradient, 0))
    return total / len(probabilities)


def bi_cam(probabilities, gradients, of_blocks, read):
    first, total = len(probabilities) // 3, 0
    rows = _rows(read, probabilities)
    for table, gradient, row in list(zip(probabilities, gradients, rows, strict=True))[first:]:
        total = total + np.einsum("q,nhqk->nk", row, table * gradient)
    return np.maximum(total, 0) / (len(probabilities) - first)


def grad_eclip(compared, gradients, of_blocks, read):
    """`compared` are the queries and keys ``(N, tokens, heads, channels)`` of the last attention."""
    queries, keys = compared
    row, front = _rows(read, gradients[-1:])[0], read == "token"
    maps = np.zeros(keys.shape[:2])
    for image in range(len(maps)):
        for number, query in enumerate(queries[image]):
            cosines = [np.sum(query * key) / np.linalg.norm(query) / np.linalg.norm(key) for key in keys[image]]
            patches = np.array(cosines[front:])
            scaled = (patches - patches.min()) / (patches.max() - patches.min())
            maps[image, front:] += row[number] * scaled * gradients[-1][image, :, number, front:].sum(axis=0)
    return np.maximum(maps, 0)


def le_grad(probabilities, gradients, of_blocks, read):
    return np.mean([np.maximum(gradient, 0).mean(axis=(1, 2)) for gradient in of_blocks], axis=0)


def vit_recipro_cam(transformer, blocks):
    """Return the scores that each patch alone leaves, blurred or not, less that of none, one after the other."""
    maps = np.zeros((len(transformer.images), *transformer.grid))
    block = transformer.tokens(transformer.images)[-1 - blocks].numpy()
    for image, tokens in enumerate(block):

        def score(patches, image=image, tokens=tokens):
            seen = np.r_[np.ones(transformer.prefix), patches.ravel()][:, None] * tokens
            return transformer.behind(seen[None].astype("float32"), blocks)[0, transformer.labels[image]]

        for place in np.ndindex(*transformer.grid):
            alone = np.zeros(transformer.grid)
            for row, column in np.ndindex(*transformer.grid):
                near = abs(row - place[0]), abs(column - place[1])
                alone[row, column] = np.prod([(0.5, 0.25, 0.0)[min(one, 2)] for one in near])
            maps[image][place] = score(alone) - score(np.zeros(transformer.grid))
    return np.maximum(maps, 0)


ATTENTION_ORACLES = {
    "attention-rollout": attention_rollout,
    "attention-relevance": attention_relevance,
    "agcam": agcam,
    "bi-cam": bi_cam,
    "grad-eclip": grad_eclip,
    "le-grad": le_grad,
}
