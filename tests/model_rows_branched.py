"""Kinds of model with more than one way through them: several inputs or outputs, shared layers, skip connections."""

import keras
import tensorflow as tf
from model_rows import SHAPE, Row, chain, functional, parts, pixels

import tfcam

L = keras.layers


def row_several_outputs():
    body, head = parts()
    inputs = keras.Input(SHAPE)
    features = chain(*body)(inputs)
    other = L.Dense(2, name="other")(L.GlobalAveragePooling2D()(features))
    head[-1].name = "wanted"
    model = keras.Model(inputs, [other, chain(*head)(features)])
    return Row(model, pixels(5, *SHAPE), chain(*body), chain(*head), {"output_layer": "wanted"})


def row_several_inputs():
    body, head = parts()
    picture, table = keras.Input(SHAPE, name="picture"), keras.Input((3,), name="table")
    mix, numbers = L.Dense(4), pixels(5, 3, seed=4)
    joined = L.Concatenate()([chain(*head)(chain(*body)(picture)), table])
    model = keras.Model([picture, table], mix(joined))
    images = pixels(5, *SHAPE)

    def run_head(activations):
        return mix(keras.ops.concatenate([chain(*head)(activations), numbers], axis=-1))

    return Row(model, [images, numbers], chain(*body), run_head, spatial_input=images)


def row_dict_inputs():
    row = row_several_inputs()
    inputs = dict(zip(("picture", "table"), row.model.inputs, strict=True))
    row.model = keras.Model(inputs, row.model.outputs[0])
    row.inputs = {"picture": row.inputs[0], "table": row.inputs[1]}
    return row


def row_inputs_by_name():
    row = row_several_inputs()
    row.inputs = {"table": row.inputs[1], "picture": row.inputs[0]}
    return row


def row_text_beside_the_image():
    body, head = parts()
    picture, caption = keras.Input(SHAPE, name="picture"), keras.Input((), dtype="string", name="caption")
    read = [L.TextVectorization(output_sequence_length=4, vocabulary=["cat", "dog"]), L.Embedding(4, 3), L.Flatten()]
    mix, words = L.Dense(4), tf.constant(["a cat", "dog", "", "cat dog", "dog dog"])
    output = mix(L.Concatenate()([chain(*head)(chain(*body)(picture)), chain(*read)(caption)]))
    images = pixels(5, *SHAPE)

    def run_head(activations):
        return mix(keras.ops.concatenate([chain(*head)(activations), chain(*read)(words)], axis=-1))

    model = keras.Model({"picture": picture, "caption": caption}, output)
    return Row(model, {"picture": images, "caption": words}, chain(*body), run_head, spatial_input=images)


def row_shared_layer_last_call():
    first, head = L.Conv2D(3, 3, padding="same", activation="relu", name="twice"), parts()[1]
    return Row(
        functional([first, first, *head], SHAPE),
        pixels(5, *SHAPE),
        chain(first, first),
        chain(*head),
        {"conv_layer": "twice"},
    )


def row_shared_layer_first_call():
    row = row_shared_layer_last_call()
    twice = row.model.get_layer("twice")
    row.options = {"conv_layer": "twice@0"}
    row.body, head = twice, row.head
    row.head = chain(twice, head)
    return row


def siamese(which):
    body, head = parts()
    sizes = [(16, 12, 3), (10, 20, 3)]
    inputs = keras.Input((None, None, 3))
    backbone = keras.Model(inputs, chain(*body)(inputs), name="backbone")
    left, right = keras.Input(sizes[0]), keras.Input(sizes[1])
    pool = L.GlobalAveragePooling2D()
    head = [L.Dense(8, activation="relu"), L.Dense(4)]
    model = keras.Model([left, right], chain(*head)(L.Concatenate()([pool(backbone(left)), pool(backbone(right))])))
    both = [pixels(5, *size, seed=i) for i, size in enumerate(sizes)]
    other = pool(chain(*body)(both[1 - which]))

    def run_head(activations):
        mine = pool(activations)
        pair = [mine, other] if which == 0 else [other, mine]
        return chain(*head)(keras.ops.concatenate(pair, axis=-1))

    [path] = [
        info.path
        for info in tfcam.list_layers(model)
        if info.path.startswith("backbone/conv_b@") and info.input_index == which
    ]
    return Row(model, both, chain(*body), run_head, {"conv_layer": path}, spatial_input=both[which])


def row_siamese_first_image():
    return siamese(0)


def row_siamese_second_image():
    return siamese(1)


def row_skip_around_the_layer():
    body, head = parts()
    skipped = L.Conv2D(6, 3, padding="same", activation="relu", name="skipped")
    inputs = keras.Input(SHAPE)
    features = chain(*body)(inputs)
    model = keras.Model(inputs, chain(*head)(L.Add()([features, skipped(features)])))
    images = pixels(5, *SHAPE)
    around = chain(*body)(images)
    return Row(model, images, chain(*body, skipped), lambda a: chain(*head)(a + around), {"conv_layer": "skipped"})


def row_called_in_another_order_than_written():
    """The last call in order of execution counts: here the one that is written first."""
    body, head = parts()
    shared = L.Conv2D(6, 3, padding="same", activation="relu", name="shared")
    far, near = keras.Input((8, 6, 6)), keras.Input(SHAPE)
    written_first = shared(far)
    features = shared(chain(*body)(near))
    inner = keras.Model(far, written_first, name="inner")
    inputs = keras.Input(SHAPE)
    model = keras.Model(inputs, chain(*head)(inner(keras.Model(near, features)(inputs))))
    row = Row(model, pixels(5, *SHAPE), chain(*body, shared, shared), chain(*head), {"conv_layer": "shared"})
    return row


def row_several_outputs_by_name():
    row = row_several_outputs()
    other, wanted = row.model.outputs
    row.model = keras.Model(row.model.inputs, {"other": other, "wanted": wanted})
    return row
