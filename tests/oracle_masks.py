"""The methods that mask activations or inputs, written out slowly, one mask after the other, on two plain functions."""

import numpy as np
import tensorflow as tf
from family_methods import ablation
from oracle import activations_and_gradients

#: How many levels of light IS-CAM's oracle takes, and samples of noise SS-CAM's, steps Opti-CAM's, masks RISE's.
LEVELS, NOISES, STEPS, SAMPLES = 3, 3, 5, 300


def _score(head, activations, weights):
    return (np.asarray(head(activations.astype("float32")), "float64") * weights).sum(axis=-1)


def _probability(head, activations, weights):
    logits = np.asarray(head(activations), "float64")
    odds = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return (odds / odds.sum(axis=-1, keepdims=True) * weights).sum(axis=-1)


def _resized(maps, images):
    """Return maps of the images' size; none that is nonnegative becomes negative."""
    big = tf.image.resize(maps[..., None].astype("float32"), images.shape[1:3], "bicubic").numpy()[..., 0]
    lowest = maps.min(axis=(1, 2), keepdims=True)
    return np.where(lowest >= 0, np.maximum(big, 0), big)


def _from_0_to_1(maps):
    low, high = maps.min(axis=(1, 2), keepdims=True), maps.max(axis=(1, 2), keepdims=True)
    return np.where(high > low, (maps - low) / np.where(high > low, high - low, 1), 0)


def _softmax(scores):
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def _seen(images, masks):
    return (images * masks[..., None]).astype("float32")


def ablation_cam(body, head, images, weights):
    return np.maximum(ablation(body, head, images, weights), 0)


def recipro_cam(body, head, images, weights):
    a = np.asarray(body(images))
    maps = np.zeros(a.shape[:-1])
    nothing = _score(head, np.zeros_like(a), weights)
    for cell in np.ndindex(*a.shape[1:-1]):
        alone = np.zeros_like(a)
        alone[(slice(None), *cell)] = a[(slice(None), *cell)]
        maps[(slice(None), *cell)] = _score(head, alone, weights) - nothing
    return np.maximum(maps, 0)


def poly_cam(body, head, images, weights, form="+-"):
    """At a single layer the map of the weights."""
    a = np.asarray(body(images), "float64")

    def probability(x):
        return (tf.nn.softmax(head(body(x.astype("float32")))).numpy() * weights).sum(axis=-1)

    maps, size = np.zeros(a.shape[:-1]), images.shape[1:3]
    for k in range(a.shape[-1]):
        low, high = np.percentile(a[..., k], [0.1, 99.9], axis=(1, 2))[:, :, None, None]
        mask = np.clip(np.divide(a[..., k] - low, high - low, out=np.zeros_like(a[..., k]), where=high > low), 0, 1)
        seen, left = (tf.image.resize(m[..., None], size, "bicubic").numpy().clip(0) for m in (mask, 1 - mask))
        weight = probability(images * seen) if "+" in form else 0
        weight = weight + (probability(images) - probability(images * left) if "-" in form else 0)
        maps += np.maximum(weight, 0)[:, None, None] * a[..., k]
    return np.maximum(maps, 0)


def score_cam(body, head, images, weights):
    a = np.asarray(body(images), "float64")
    scores = []
    for k in range(a.shape[-1]):
        seen = _seen(images, _from_0_to_1(_resized(a[..., k], images)))
        scores.append(_score(head, np.asarray(body(seen)), weights))
    return np.einsum("nk,n...k->n...", _softmax(np.stack(scores, axis=1)), a)


def faster_score_cam(body, head, images, weights):
    a = np.asarray(body(images), "float64")
    maps = np.zeros(a.shape[:-1])
    for n in range(len(a)):
        kept = np.argsort(-a[n].var(axis=(0, 1)))[:10]
        scores = []
        for k in kept:
            seen = _seen(images[n : n + 1], _from_0_to_1(_resized(a[n : n + 1, ..., k], images)))
            scores.append(_score(head, np.asarray(body(seen)), weights[n : n + 1]))
        for k, weight in zip(kept, _softmax(np.stack(scores, axis=1))[0], strict=True):
            maps[n] += weight * a[n, ..., k]
    return maps


def ss_cam(body, head, images, weights):
    a = np.asarray(body(images), "float64")
    noise = tf.random.stateless_normal([NOISES, *a.shape[1:-1]], [0, 0]).numpy()
    scores = np.zeros((len(a), a.shape[-1]))
    for k in range(a.shape[-1]):
        one = a[..., k]
        spread = np.ptp(one, axis=(1, 2))[:, None, None]
        for sample in noise:
            seen = _seen(images, _from_0_to_1(_resized(one + 0.15 * spread * sample, images)))
            scores[:, k] += _score(head, np.asarray(body(seen)), weights) / NOISES
    return np.einsum("nk,n...k->n...", _softmax(scores), a)


def is_cam(body, head, images, weights):
    a = np.asarray(body(images), "float64")
    scores = np.zeros((len(a), a.shape[-1]))
    for k in range(a.shape[-1]):
        mask = _from_0_to_1(_resized(a[..., k], images))
        for step in range(1, LEVELS + 1):
            seen = _seen(images, mask * step / LEVELS)
            scores[:, k] += _score(head, np.asarray(body(seen)), weights) / LEVELS
    return np.einsum("nk,n...k->n...", _softmax(scores), a)


def blurred(image):
    """Blur an image as Group-CAM does, its window as large a share of it: pixel by pixel, reflected at the borders."""
    for axis, size in enumerate(image.shape[:2]):
        radius = size * 25 // 224
        offsets = np.arange(-radius, radius + 1)
        window = np.exp(-0.5 * (offsets * 224 / (50 * size)) ** 2)
        window /= window.sum()
        reflected = np.pad(np.moveaxis(image, axis, 0), [[radius, radius], [0, 0], [0, 0]], "reflect")
        image = np.moveaxis(sum(w * reflected[i : i + size] for i, w in enumerate(window)), 0, axis)
    return image


def group_cam(body, head, images, weights):
    a, g = activations_and_gradients(body, head, images, weights)
    blur = np.stack([blurred(image) for image in images.astype("float64")])
    of_blur = _probability(head, body(blur.astype("float32")), weights)
    maps = np.zeros(a.shape[:-1])
    size = -(-a.shape[-1] // min(32, a.shape[-1]))
    for start in range(0, a.shape[-1], size):
        group = range(start, min(start + size, a.shape[-1]))
        one = np.maximum(sum(g[..., k].mean(axis=(1, 2))[:, None, None] * a[..., k] for k in group), 0)
        mask = _from_0_to_1(_resized(one, images))[..., None]
        likely = _probability(head, body((images * mask + blur * (1 - mask)).astype("float32")), weights)
        maps += np.maximum(likely - of_blur, 0)[:, None, None] * one
    return maps


def _cosine_distance(one, other):
    return 1 - one @ other / np.sqrt(one @ one) / np.sqrt(other @ other)


def vit_cx(body, head, images, weights):
    """Groups that grow as long as all of their maps are alike: the two closest are put together first."""
    a, maps = body(images).numpy(), []
    for n, image in enumerate(images.astype("float64")):
        each = _from_0_to_1(np.moveaxis(a[n].astype("float64"), -1, 0))
        groups = [[number] for number in range(len(each)) if each[number].max() > 0]

        def distance(one, other, each=each):
            return max(_cosine_distance(each[i].ravel(), each[j].ravel()) for i in one for j in other)

        while len(groups) > 1:
            closest, one, other = min(
                (distance(one, other), i, j) for i, one in enumerate(groups) for j, other in enumerate(groups[:i])
            )
            if closest > 0.1:
                break
            groups[other] += groups.pop(one)
        total, seen = 0, 0
        for number, group in enumerate(sorted(groups, key=min)):
            one = each[group].mean(axis=0)
            mask = _from_0_to_1(_resized(one[None], images[:1]))[0][..., None]
            noise = 0.1 * image.std() * tf.random.stateless_normal(image.shape, [0, number]).numpy() * (1 - mask)
            given = np.stack([image * mask + noise, image + noise, image]).astype("float32")
            masked, noisy, plain = _probability(head, body(given), np.stack([weights[n]] * 3))
            total, seen = total + (masked - noisy + plain) * one, seen + one
        maps.append(total / seen)
    return np.maximum(maps, 0)


def rise(body, head, images, weights):
    """At the size of the images: the masks are drawn as the method draws them, and enlarged by TensorFlow itself."""
    drawn = tf.random.stateless_uniform([SAMPLES, 7, 7], [0, 0]).numpy() < 0.5
    places = tf.random.stateless_uniform([SAMPLES, 2], [0, 1]).numpy()
    steps = [-(-size // 7) for size in images.shape[1:3]]
    enlarged = tf.image.resize(drawn[..., None].astype("float32"), [8 * step for step in steps], "bilinear").numpy()
    masks, maps = [], np.zeros(images.shape[:3])
    for one, place in zip(enlarged[..., 0], places, strict=True):
        y, x = (int(share * np.float32(step)) for share, step in zip(place, steps, strict=True))
        masks.append(one[y : y + images.shape[1], x : x + images.shape[2]])
    for n, image in enumerate(images):
        parts = [_seen(image, np.stack(masks[start : start + 100])) for start in range(0, SAMPLES, 100)]
        likely = np.concatenate([_probability(head, body(part), weights[n]) for part in parts])
        for one, mask in zip(likely, masks, strict=True):
            maps[n] += (one - likely.mean()) * mask
    return np.maximum(maps / SAMPLES / 0.5, 0)


def opti_cam(body, head, images, weights):
    a = tf.constant(body(images))
    mean = square = tf.zeros((len(a), a.shape[-1]))
    u = tf.where(tf.reduce_all(a == 0, axis=(1, 2)), -1e9, mean)  # a dead channel takes no weight
    for step in range(1, STEPS + 1):
        with tf.GradientTape() as tape:
            tape.watch(u)
            mixed = tf.einsum("nk,nhwk->nhw", tf.nn.softmax(u), a)
            big = tf.nn.relu(tf.image.resize(mixed[..., None], images.shape[1:3], "bicubic"))
            low, high = (f(big, axis=(1, 2, 3), keepdims=True) for f in (tf.reduce_min, tf.reduce_max))
            score = tf.reduce_sum(head(body(images * (big - low) / (high - low))) * weights)
        gradient = tape.gradient(score, u)
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        u += 0.1 * (mean / (1 - 0.9**step)) / (tf.sqrt(square / (1 - 0.999**step)) + 1e-8)
    return tf.einsum("nk,nhwk->nhw", tf.nn.softmax(u), a).numpy()


MASK_ORACLES = {
    "ablation-cam": ablation_cam,
    "faster-score-cam": faster_score_cam,
    "group-cam": group_cam,
    "is-cam": is_cam,
    "opti-cam": opti_cam,
    "poly-cam": poly_cam,
    "recipro-cam": recipro_cam,
    "rise": rise,
    "score-cam": score_cam,
    "ss-cam": ss_cam,
    "vit-cx": vit_cx,
}
