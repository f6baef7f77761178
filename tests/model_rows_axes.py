"""Kinds of model whose axes are not those of their input: permuted, folded, computed, or heads of an attention."""

import keras
import tensorflow as tf
from model_rows import SHAPE, Row, chain, functional, parts, pixels
from model_rows_shaped import shaped

L = keras.layers


class Magnitudes(L.Layer):
    """The spectrum of each window of a sound."""

    def call(self, sound):
        return tf.abs(tf.signal.stft(sound, 64, 32))[..., None]


def permuted(body, head, before, images, there, back):
    """Return the row of a model that permutes images ``(N, *grid, C)`` before its convolutions.

    `there` is what the model does to them, as an order of axes; `back` brings activations to the order of the images.
    """
    model = functional([*before, *body, *head], images.shape[1:])
    again = [back.index(axis) for axis in range(len(back))]
    return Row(
        model,
        images,
        lambda x: tf.transpose(chain(*body)(tf.transpose(x, there)), back),
        lambda a: chain(*head)(tf.transpose(a, again)),
    )


def row_transposed_images():
    body, head = parts()
    return permuted(body, head, [L.Permute((2, 1, 3))], pixels(5, *SHAPE), [0, 2, 1, 3], [0, 2, 1, 3])


def row_permuted_after_the_convolutions():
    """The last activation is the permuted one."""
    [*body, last], head = parts()
    turn = L.Permute((2, 1, 3))
    model = functional([*body, last, turn, *head], SHAPE)
    return Row(model, pixels(5, *SHAPE), chain(*body, last), lambda a: chain(turn, *head)(a))


def row_slices_last():
    """Volumes whose slices stand last, as medical images are stored."""
    body, head = parts(rank=3)
    volumes = pixels(5, 10, 8, 6, 1)
    before = [L.Permute((3, 1, 2)), L.Reshape((6, 10, 8, 1))]
    row = permuted(body, head, [], volumes, [0, 3, 1, 2, 4], [0, 2, 3, 1, 4])
    row.model, row.inputs = functional([*before, *body, *head], (10, 8, 6)), volumes[..., 0]
    row.spatial_input = volumes
    return row


def row_variables_first():
    """A series stored as variables by steps, seen by convolutions and an LSTM side by side."""
    series = pixels(5, 24, 6)
    turn, lstm, pool = L.Permute((2, 1)), L.LSTM(4), L.GlobalAveragePooling1D()
    body, head = parts(rank=1)[0], L.Dense(4)
    inputs = keras.Input((6, 24))
    steps = turn(inputs)
    model = keras.Model(inputs, head(L.Concatenate()([pool(chain(*body)(steps)), lstm(steps)])))
    around = lstm(series)
    return Row(
        model,
        series.transpose(0, 2, 1),
        chain(*body),
        lambda a: head(tf.concat([pool(a), around], axis=-1)),
        spatial_input=series,
    )


def row_series_with_an_axis_between():
    """The steps of a series as the rows of images of one column."""
    series = pixels(5, 20, 6)
    body, head = [L.Conv2D(6, (3, 1), activation="relu")], parts()[1]
    row = shaped((body, head), [L.Reshape((20, 1, 6))], series, series, lambda x: x)
    row.body = lambda x: chain(*body)(x[:, :, None])[:, :, 0]
    row.head = lambda a: chain(*head)(a[:, :, None])
    return row


def row_spectrogram():
    sound = pixels(5, 640, 1)
    before = [L.Reshape((640,)), Magnitudes()]
    return shaped(parts(), before, sound, sound, lambda x: x)


def row_wavelets():
    """A bank of filters, whose scales the next convolution slides along."""
    series = pixels(5, 40, 1)
    before = [L.Conv1D(8, 9, padding="same", activation="tanh"), L.Reshape((40, 8, 1))]
    return shaped(parts(), before, series, series, lambda x: x)


def frames(length):
    """Return the row of a whole network for each frame of a film, and an LSTM over them."""
    body, _ = parts()
    each = functional([*body, L.GlobalAveragePooling2D()], SHAPE, name="each")
    lstm, classify = L.LSTM(5), L.Dense(4)
    model = functional([L.TimeDistributed(each, name="frames"), lstm, classify], (length, *SHAPE))

    def features(film):
        images = tf.reshape(film, (-1, *SHAPE))
        activations = chain(*body)(images)
        return tf.reshape(activations, (-1, 3, *activations.shape[1:]))

    return Row(model, pixels(5, 3, *SHAPE), features, lambda a: classify(lstm(tf.reduce_mean(a, axis=[2, 3]))))


def row_network_for_each_frame():
    return frames(3)


def row_network_for_each_frame_of_any_number():
    return frames(None)


def row_bag_with_an_axis_of_its_own():
    """Images of one bag, folded into the batch, and weighted by an attention over the bag."""
    body, _ = parts()
    pool, weigh, classify = L.GlobalAveragePooling2D(), L.Dense(1), L.Dense(4)

    class Bag(keras.Model):
        def __init__(self):
            super().__init__()
            self.body, self.pool, self.weigh, self.classify = body, pool, weigh, classify

        def call(self, bags):
            images = tf.reshape(bags, (-1, *SHAPE))
            return attended(tf.reshape(self.pool(chain(*self.body)(images)), (-1, 3, 6)))

    def attended(features):
        return classify(tf.reduce_sum(tf.nn.softmax(weigh(features), axis=1) * features, axis=1))

    def features(bags):
        activations = chain(*body)(tf.reshape(bags, (-1, *SHAPE)))
        return tf.reshape(activations, (-1, 3, *activations.shape[1:]))

    return Row(Bag(), pixels(5, 3, *SHAPE), features, lambda a: attended(tf.reduce_mean(a, axis=[2, 3])))


def row_heads_before_positions():
    """The heads of an attention stand in front of its positions, as in LeViT: they are no rows of an image."""
    body, _ = parts()
    project, classify = L.Dense(6), L.Dense(4)

    def mixed(images):
        """Return ``(N, heads, cells, channels)``."""
        x = chain(*body)(images)
        heads = L.Permute((2, 1, 3))(L.Reshape((48, 2, 3))(project(L.Reshape((48, 6))(x))))
        weights = L.Softmax(name="attention")(keras.ops.matmul(heads, keras.ops.swapaxes(heads, 2, 3)))
        return L.Activation("hard_swish", name="mixed")(keras.ops.matmul(weights, heads))

    def classified(mixed):
        return classify(L.GlobalAveragePooling1D()(L.Reshape((48, 6))(L.Permute((2, 1, 3))(mixed))))

    inputs = keras.Input(SHAPE)
    model = keras.Model(inputs, classified(mixed(inputs)))

    def as_grid(images):
        return L.Reshape((8, 6, 6))(L.Permute((2, 1, 3))(mixed(images)))

    def head(activations):
        return classified(L.Permute((2, 1, 3))(L.Reshape((48, 2, 3))(activations)))

    return Row(model, pixels(5, *SHAPE), as_grid, head)


def row_leads_through_one_network():
    """Each lead of a series goes through the same network."""
    [*_, conv] = body = parts(rank=1)[0]
    net = functional([*body, L.GlobalAveragePooling1D()], (24, 1), name="net")
    classify, series = L.Dense(4), pixels(5, 24, 3)
    inputs = keras.Input((24, 3))
    model = keras.Model(inputs, classify(L.Concatenate()([net(inputs[..., k : k + 1]) for k in range(3)])))
    others = net(series[..., :1]), net(series[..., 2:])

    def head(a):
        return classify(tf.concat([others[0], tf.reduce_mean(a, axis=1), others[1]], axis=-1))

    return Row(model, series, lambda x: chain(*body)(x[..., 1:2]), head, {"conv_layer": f"net/{conv.name}@1"})
