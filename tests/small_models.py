"""Small models, and labels, that several tests use."""

import keras
import numpy as np
import tensorflow as tf

L = keras.layers

#: Targets of five images of four classes.
LABELS = np.array([0, 1, 2, 3, 1])
ONE_HOT = np.eye(4, dtype="float32")[LABELS]
#: One method of each family, and those that do more with a run than a formula of what it holds.
KINDS = (
    *("ablation-cam", "cam", "eigen-cam", "full-grad", "grad-cam", "guided-grad-cam", "lift-cam", "poly-cam"),
    *("random-cam", "score-cam", "shapley-cam", "winsor-cam", "attention-relevance", "attention-rollout", "le-grad"),
)
#: Fewer steps, samples and masks than by default, of the methods that take most.
FEWER = {
    "d-rise": {"samples": 200},
    "is-cam": {"steps": 2},
    "opti-cam": {"steps": 5},
    "rise": {"samples": 500},
    "ss-cam": {"samples": 2},
}


def raw(method, model, images, **options):
    """Return a method's maps of these labels, of the layer's grid."""
    return method(model, **options).explain(images, LABELS, resize=False).numpy()[..., 0]


def net(units, activation=None, bias=0.0):
    return keras.Sequential(
        [
            keras.Input((16, 12, 3)),
            L.Conv2D(6, 3, activation="relu", name="conv"),
            L.GlobalAveragePooling2D(name="gap"),
            L.Dense(units, activation=activation, bias_initializer=keras.initializers.Constant(bias), name="dense"),
        ]
    )


def head_of_logits(model):
    """Return the function from the activations of a `net` to its logits, whatever it puts out."""
    logits = net(model.layers[-1].units)
    logits.set_weights(model.get_weights())
    return lambda a: logits.layers[2](logits.layers[1](a))


def small_demo_model():
    """Return a model with the embedded one's input and output and two of its layers' names, which is soon traced."""
    layers = [L.Conv2D(4, 5, 4, activation="relu", name="relu3"), L.Conv2D(6, 3, 2, activation="relu", name="relu5")]
    head = [L.GlobalMaxPooling2D(), L.Dense(8, name="logits"), L.Softmax(name="predictions")]
    return keras.Sequential([keras.Input((96, 96, 3)), L.Rescaling(1 / 127.5, -1.0), *layers, *head])


class Beside(keras.Model):
    def __init__(self):
        super().__init__()
        self.conv, self.rescale = L.Conv2D(4, 3, activation="relu", name="inner"), L.Rescaling(2.0)
        self.pool, self.dense = L.GlobalAveragePooling2D(), L.Dense(2)

    def call(self, inputs):
        return self.dense(tf.concat([self.pool(self.conv(inputs)), self.pool(self.rescale(inputs))], -1))


def with_random_weights(model, seed=0):
    """Give biases that are not zero and statistics of batches that are not those of the start."""
    random = np.random.default_rng(seed)
    for weight in model.weights:
        shape, name = tuple(weight.shape), weight.path
        if "variance" in name:
            weight.assign(random.uniform(0.5, 2.0, shape))
        elif len(shape) < 2:
            weight.assign(random.normal("gamma" in name, 0.3, shape))
    return model


def segmenter(activation="softmax", units=4, size=(16, 12)):
    """Return a small network from images to the classes of their pixels."""
    return keras.Sequential(
        [
            L.Input((*size, 3)),
            L.Conv2D(6, 3, 2, padding="same", activation="relu", name="down"),
            L.Conv2DTranspose(units, 3, 2, padding="same", name="up"),
            L.Activation(activation),
        ]
    )


def reader():
    """Return a small network from images to the letters of three positions."""
    image = keras.Input((16, 12, 3))
    features = L.Conv2D(6, 3, 2, activation="relu", name="down")(image)
    return keras.Model(image, L.Softmax()(L.Reshape((3, 5))(L.Dense(15)(L.Flatten()(features)))))
