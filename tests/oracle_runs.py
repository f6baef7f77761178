"""The methods that are more than a formula of activations and gradients, written out slowly on two plain functions."""

import keras
import numpy as np
import tensorflow as tf
from oracle import ORACLES, activations_and_gradients, grad_cam
from oracle_masks import MASK_ORACLES


def cam(body, head, images, weights):
    """``sum_k W_kc A_k``, the weights told by what the head makes of a single active channel."""
    a = np.asarray(body(images), "float64")
    nothing = np.asarray(head(np.zeros_like(a[:1])), "float64")
    maps = np.zeros(a.shape[:-1])
    for k in range(a.shape[-1]):
        one = np.zeros_like(a[:1])
        one[..., k] = 1
        maps += ((np.asarray(head(one)) - nothing) @ weights.T).reshape(-1, *[1] * (a.ndim - 2)) * a[..., k]
    return np.maximum(maps, 0)


def nearest(logits, weights, similar):
    """Yield each image's class, and those whose logits are nearest to that of the class."""
    for one, target in zip(logits, weights.argmax(axis=-1), strict=True):
        yield target, [d for d in np.argsort(abs(one - one[target])) if d != target][:similar]


def finer_cam(body, head, images, weights, strength=0.6, similar=3):
    logits = np.asarray(head(body(images)))
    contrast = np.zeros_like(logits)
    for row, (target, others) in zip(contrast, nearest(logits, weights, similar), strict=True):
        row[target] = 1
        row[others] = -strength / len(others)
    return grad_cam(*activations_and_gradients(body, head, images, contrast))


def shapley_cam(body, head, images, weights, formula=grad_cam):
    """The Hessian's product is taken forwards, as the derivative of the gradient along the activations."""
    a = tf.constant(body(images))
    with tf.autodiff.ForwardAccumulator(a, a) as along:
        with tf.GradientTape() as tape:
            tape.watch(a)
            logits = tf.cast(head(a), tf.float32)
            score = tf.reduce_sum((logits + tf.nn.log_softmax(logits)) * weights)
        gradients = tape.gradient(score, a)
    return formula(a.numpy(), gradients.numpy() - 0.5 * along.jvp(gradients).numpy())


def smooth_grad_cam_plus_plus(body, head, images, weights):
    a = np.asarray(body(images), "float64")
    within = tuple(range(1, images.ndim))
    spread = images.max(axis=within, keepdims=True) - images.min(axis=within, keepdims=True)
    gradients = []
    for sample in range(8):
        noise = tf.random.stateless_normal(images.shape[1:], [0, sample]).numpy()
        gradients.append(activations_and_gradients(body, head, images + 0.15 * spread * noise, weights)[1])
    first, second, third = (sum(g**power for g in gradients) / 8 for power in (1, 2, 3))
    maps = np.zeros(a.shape[:-1])
    for n, k in np.ndindex(len(a), a.shape[-1]):
        total, weight = a[n, ..., k].sum(), 0.0
        for d1, d2, d3 in zip(first[n, ..., k].flat, second[n, ..., k].flat, third[n, ..., k].flat, strict=True):
            if d1 > 0 and 2 * d2 + total * d3 > 1e-6 * d2:
                weight += d1 / (2 * d2 + total * d3) * d1
        maps[n] += weight * a[n, ..., k]
    return np.maximum(maps, 0)


def refine_cam(body, head, images, weights):
    """At a single layer the product is Grad-CAM++'s map; test_layers_by_default.py has several."""
    return ORACLES["grad-cam-plus-plus"](*activations_and_gradients(body, head, images, weights))


def winsor_cam(body, head, images, weights):
    """At a single layer Grad-CAM's map scaled to its maximum, where the mean weight is positive."""
    a, g = activations_and_gradients(body, head, images, weights)
    maps = grad_cam(a, g)
    matters = g.mean(axis=tuple(range(1, a.ndim))) > 0
    return np.stack([one / one.max() * counts for one, counts in zip(maps, matters, strict=True)])


def _ratio(one, other):
    return np.divide(one, other, out=np.zeros_like(one), where=other != 0)


def deep_feature_factorization(body, head, images, weights):
    activations = np.maximum(np.asarray(body(images), "float64"), 0)
    cells, channels, count = np.prod(activations.shape[1:-1]), activations.shape[-1], 5
    drawn = [
        tf.random.stateless_uniform(s, [0, i], 0.5, 1.5) for i, s in enumerate([(cells, count), (count, channels)])
    ]
    maps = []
    for a in activations:
        x = a.reshape(-1, channels)
        h, w = (np.asarray(one, "float64") * np.sqrt(x.mean() / count) for one in drawn)
        for _ in range(200):
            h *= _ratio(x @ w.T, h @ w @ w.T)
            w *= _ratio(h.T @ x, h.T @ h @ w)
        alone = np.stack([*(np.outer(h[:, j], w[j]).reshape(a.shape) for j in range(count)), np.zeros(a.shape)])
        scores = np.asarray(head(alone.astype("float32"))) @ weights[len(maps)]
        one = sum((scores[j] - scores[-1]) * _ratio(h[:, j], h[:, j].max()) for j in range(count))
        maps.append(one.reshape(a.shape[:-1]))
    return np.maximum(maps, 0)


def _run_embedded(body, head, images):
    """Run the embedded model layer by layer; return the layers with their outputs, and the logits."""
    layers = [layer for layer in [*body.layers, *head.layers] if not isinstance(layer, keras.layers.InputLayer)]
    x, outputs = images, []
    for layer in layers[: next(i for i, layer in enumerate(layers) if layer.name == "average")]:
        x = layer(x)
        outputs.append((layer, x))
    average, maximum, logits = (head.get_layer(name) for name in ("average", "maximum", "logits"))
    return outputs, logits(tf.concat([average(x), maximum(x)], axis=-1))


def _recorded(body, head, images, weights):
    """Return the tape of a run of the embedded model, what it was given, its layers with their outputs, the score."""
    with tf.GradientTape(persistent=True) as tape:
        x = tf.constant(images)
        tape.watch(x)
        outputs, logits = _run_embedded(body, head, x)
        return tape, x, outputs, tf.reduce_sum(logits * weights)


def full_grad(body, head, images, weights):
    tape, x, outputs, score = _recorded(body, head, images, weights)
    parts = [(x, images)]
    for layer, output in outputs:
        if layer.name == "rescaling":
            parts.append((output, -1.0))
        if layer.name.startswith("norm"):
            gamma, beta, mean, variance = layer.get_weights()
            parts.append((output, beta - gamma * mean / np.sqrt(variance + layer.epsilon)))
    maps = 0
    for tensor, factor in parts:
        part = np.abs(tape.gradient(score, tensor).numpy() * factor)
        lowest, highest = (extreme(axis=(1, 2, 3), keepdims=True) for extreme in (part.min, part.max))
        part = ((part - lowest) / (highest - lowest)).sum(axis=-1, keepdims=True)
        maps = maps + tf.image.resize(part, images.shape[1:3], "bicubic").numpy().clip(0)[..., 0]
    return maps


def guided_grad_cam(body, head, images, weights):
    tape, x, outputs, score = _recorded(body, head, images, weights)
    relus = [output for layer, output in outputs if layer.name.startswith("relu")]
    gradient = tape.gradient(score, relus[-1])
    for relu, before in zip(reversed(relus), [*reversed(relus[:-1]), x], strict=True):
        gradient = tape.gradient(relu, before, output_gradients=tf.nn.relu(gradient))
    maps = grad_cam(*activations_and_gradients(body, head, images, weights))
    maps = tf.image.resize(maps[..., None], images.shape[1:3], "bicubic").numpy().clip(0)[..., 0]
    return maps * np.abs(gradient).max(axis=-1)


def lift_cam(body, head, images, weights):
    """Back through the embedded model's layers, each but the ReLUs and the maximum being linear."""
    a = tf.constant(body(images))
    between = [layer for layer in head.layers if not isinstance(layer, keras.layers.InputLayer)]
    between = between[: next(i for i, layer in enumerate(between) if layer.name == "average")]
    here, nothing = [a], [tf.zeros_like(a)]
    for layer in between:
        here.append(layer(here[-1]))
        nothing.append(layer(nothing[-1]))
    x, x0 = here[-1].numpy(), nothing[-1].numpy()
    of_mean, of_maximum = np.split(weights @ head.get_layer("logits").kernel.numpy().T, 2, axis=-1)
    m = np.tile((of_mean / np.prod(x.shape[1:3]))[:, None, None], (1, *x.shape[1:3], 1))
    for n, k in np.ndindex(len(x), x.shape[-1]):
        highest = x[n, ..., k] == x[n, ..., k].max()  # in a dead channel, every cell
        risen = (x[n, ..., k] - x0[n, ..., k])[highest].sum()
        m[n, highest, k] += of_maximum[n, k] * (x[n, ..., k].max() - x0[n, ..., k].max()) / risen if risen else 0
    backwards = (between[::-1], here[-2::-1], here[:0:-1], nothing[-2::-1], nothing[:0:-1])
    for layer, x, y, x0, y0 in zip(*backwards, strict=True):
        if layer.name.startswith("relu"):
            m = m * np.where(x != x0, _ratio((y - y0).numpy(), (x - x0).numpy()), x > 0)
        else:
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = layer(x)
            m = tape.gradient(y, x, tf.constant(m, "float32")).numpy()
    added = (m * a.numpy()).sum(axis=(1, 2), keepdims=True)
    return np.maximum((added * a.numpy()).sum(axis=-1), 0)


RUN_ORACLES = MASK_ORACLES | {
    "deep-feature-factorization": deep_feature_factorization,
    "full-grad": full_grad,
    "guided-grad-cam": guided_grad_cam,
    "lift-cam": lift_cam,
    "refine-cam": refine_cam,
    "winsor-cam": winsor_cam,
    "cam": cam,
    "finer-cam": finer_cam,
    "shapley-cam": shapley_cam,
    "smooth-grad-cam-plus-plus": smooth_grad_cam_plus_plus,
}


def expected_maps(method, body, head, images, weights):
    """Return the raw maps of a method, by either kind of oracle."""
    if method.name in MASK_ORACLES:
        # Of one mask after the other there are thousands of calls.
        body, head = tf.function(body), tf.function(head)
    if method.name in RUN_ORACLES:
        return RUN_ORACLES[method.name](body, head, images, weights)
    oracle = ORACLES[method.name]
    if not method.explains_scores:
        return oracle(np.asarray(body(images), "float64"))
    return oracle(*activations_and_gradients(body, head, images, weights))
