"""Small models that several tests use."""

import keras
import tensorflow as tf

L = keras.layers


def net(units, activation=None, bias=0.0):
    return keras.Sequential(
        [
            keras.Input((16, 12, 3)),
            L.Conv2D(6, 3, activation="relu", name="conv"),
            L.GlobalAveragePooling2D(name="gap"),
            L.Dense(units, activation=activation, bias_initializer=keras.initializers.Constant(bias), name="dense"),
        ]
    )


class Beside(keras.Model):
    def __init__(self):
        super().__init__()
        self.conv, self.rescale = L.Conv2D(4, 3, activation="relu", name="inner"), L.Rescaling(2.0)
        self.pool, self.dense = L.GlobalAveragePooling2D(), L.Dense(2)

    def call(self, inputs):
        return self.dense(tf.concat([self.pool(self.conv(inputs)), self.pool(self.rescale(inputs))], -1))
