"""Models that cannot be explained as they are, what the user is told, and that doing it works."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfcam

L = keras.layers


class Parts(keras.Model):
    """A model of a stem, a body and a head, each as its subclass calls it."""

    def __init__(self):
        super().__init__()
        self.stem, self.body = L.Conv2D(4, 3, name="stem"), L.Conv2D(4, 3, name="body")
        self.act, self.pool, self.head = L.ReLU(name="act"), L.GlobalAveragePooling2D(), L.Dense(2)

    def call(self, inputs):
        return self.head(self.pool(self.act(self.body(self.stem(inputs)))))


class Compiled(Parts):
    @tf.function
    def call(self, inputs):
        return super().call(inputs)


class MadeInCall(Parts):
    def call(self, inputs):
        return self.head(self.pool(L.ReLU(name="fresh")(self.stem(inputs))))


class StaticBatch(Parts):
    def call(self, inputs):
        return super().call(inputs) / (inputs.shape[0] * 1.0)


class DynamicBatch(Parts):
    def call(self, inputs):
        return super().call(inputs) / tf.cast(tf.shape(inputs)[0], tf.float32)


class Branching(Parts):
    def call(self, inputs):
        return self.head(self.pool(self.body(inputs) if tf.reduce_mean(inputs) > 0 else self.body(-inputs)))


class BranchingInside(Parts):
    def call(self, inputs):
        return self.head(self.pool(self.body(tf.cond(tf.reduce_mean(inputs) > 0, lambda: inputs, lambda: -inputs))))


class Tiles(Parts):
    def __init__(self, tiles=lambda x: tf.concat([x, x[:, :, ::-1]], 0)):
        super().__init__()
        self.tiles = tiles

    def call(self, inputs):
        both = self.body(self.tiles(self.stem(inputs)))
        return self.head(tf.concat(tf.split(self.pool(both), 2), -1))


def explain(model, x, **options):
    targets = None if isinstance(x, tf.data.Dataset) else 0
    return tfcam.GradCAM(model, **options).explain(x, targets)


def half(make):
    keras.config.set_dtype_policy("mixed_float16")
    return make()


def two_inputs(structure):
    image, table = keras.Input((16, 12, 3), name="image"), keras.Input((3,), name="table")
    features = L.GlobalAveragePooling2D()(L.Conv2D(4, 3)(image))
    return keras.Model(structure(image, table), L.Dense(2)(L.Concatenate()([features, table])))


def listless():
    layers = [L.Conv2D(3, 3), L.GlobalAveragePooling2D(), L.Dense(2)]
    return keras.Sequential([keras.Input((16, 12, 3)), *layers])


def of_bytes():
    return keras.Sequential([keras.Input((16, 12, 3), dtype="uint8"), L.Rescaling(1 / 255), *listless().layers])


def dicts(x):
    return tf.data.Dataset.from_tensor_slices({"image": x, "label": [0, 1, 0, 1, 0]}).batch(2)


def rounded():
    layers = [L.Conv2D(3, 3, name="conv"), L.GlobalAveragePooling2D(), L.Dense(2, name="votes"), L.Lambda(tf.round)]
    return keras.Sequential([keras.Input((16, 12, 3)), *layers])


def shared():
    inputs = keras.Input((16, 12, 3))
    twice, once = L.Conv2D(3, 3, name="twice"), L.Conv2D(3, 3, name="once")
    return keras.Model(inputs, L.Dense(2)(L.GlobalAveragePooling2D()(twice(once(twice(inputs))))))


def namesakes():
    inputs = keras.Input((16, 12, 3))
    sides = []
    for name in ("left", "right"):
        inner = keras.Input((16, 12, 3))
        sides.append(keras.Model(inner, L.Conv2D(3, 3, name="conv")(inner), name=name)(inputs))
    return keras.Model(inputs, L.Dense(2)(L.GlobalAveragePooling2D()(L.Add()(sides))))


def beside_a_table():
    image, table = keras.Input((16, 12, 3)), keras.Input((3,))
    made_up = L.Conv2D(4, 2, name="made_up")(L.Reshape((4, 4, 2))(L.Dense(32)(table)))
    pool = L.GlobalAveragePooling2D()
    features = [pool(L.Conv2D(4, 3, name="conv")(image)), pool(made_up)]
    return keras.Model([image, table], L.Dense(2)(L.Concatenate()(features)))


def listed():
    return two_inputs(lambda image, table: [image, table])


def named():
    return two_inputs(lambda image, table: {"image": image, "table": table})


TABLE = np.ones((5, 3), "float32")

#: Each model and call, what is said of it, and the call that does what is said.
BAD = {
    "everything in a function": (
        lambda x: explain(Compiled(), x),
        "runs stem, body, act, .* inside a tf.function.*take the tf.function decorator off",
        lambda x: explain(Parts(), x),
    ),
    "a layer made in call": (
        lambda x: explain(MadeInCall(), x),
        r"does not call \['fresh'\] each time.*make its layers in __init__.*or name another conv_layer=",
        lambda x: [explain(Parts(), x), explain(MadeInCall(), x, conv_layer="stem")][1],
    ),
    "a batch counted in Python": (
        lambda x: explain(StaticBatch(), x),
        r"tf\.shape\(x\)\[0\] instead of x\.shape\[0\]",
        lambda x: explain(DynamicBatch(), x),
    ),
    "if on a tensor": (
        lambda x: explain(Branching(), x),
        "tf.cond instead of if on a tensor",
        lambda x: explain(BranchingInside(), x),
    ),
    "tiles folded into the batch": (
        lambda x: explain(Tiles(), x),
        "10 maps for 5 images.*name a layer before that",
        lambda x: explain(Tiles(), x, conv_layer="stem"),
    ),
    "tiles folded into the batch, on their own grid": (
        lambda x: tfcam.GradCAM(Tiles()).explain(x, 0, resize=False),
        "10 maps for 5 images.*name a layer before that",
        lambda x: explain(Tiles(), x, conv_layer="stem"),
    ),
    "halves of the images folded into the batch": (
        lambda x: explain(Tiles(lambda x: tf.concat([x[:, :7], x[:, 7:]], 0)), x),
        "10 maps for 5 images.*name a layer before that",
        lambda x: explain(Tiles(lambda x: tf.concat([x[:, :7], x[:, 7:]], 0)), x, conv_layer="stem"),
    ),
    "tiles folded into the batch, in half precision": (
        lambda x: explain(half(Tiles), x),
        "10 maps for 5 images.*name a layer before that",
        lambda x: explain(half(Tiles), x, conv_layer="stem"),
    ),
    "one of two inputs": (
        lambda x: explain(listed(), x),
        r"takes 2 inputs as a list, or as a dict: \['image', 'table'\]; got ndarray of shape \(5, 16, 12, 3\)",
        lambda x: explain(listed(), [x, TABLE]),
    ),
    "a list of three for two": (
        lambda x: explain(listed(), [x, x, TABLE]),
        r"takes 2 inputs as a list, or as a dict: \['image', 'table'\]; got list of 3",
        lambda x: explain(listed(), [x, TABLE]),
    ),
    "a dict of other names for a list": (
        lambda x: explain(listed(), {"picture": x, "table": TABLE}),
        r"takes 2 inputs as a list, or as a dict: \['image', 'table'\]; got a dict of \['picture', 'table'\]",
        lambda x: explain(listed(), {"image": x, "table": TABLE}),
    ),
    "fractions for bytes": (
        lambda x: explain(of_bytes(), x),
        r"inputs hold fractions, the model takes uint8: pass the images as they were before they were scaled",
        lambda x: explain(of_bytes(), np.round(127 * (x + 1))),
    ),
    "a loader that is no dataset": (
        lambda x: explain(listless(), iter([x])),
        r"list_iterator does not tell its length.*explainer\.stream\(loader\).*explain each batch",
        lambda x: explain(listless(), next(iter([x]))),
    ),
    "a dataset of dicts": (
        lambda x: explain(listless(), dicts(x)),
        r"takes one input, got a dict of \['image', 'label'\].*map the dataset to \(x, y\)",
        lambda x: explain(listless(), dicts(x).map(lambda part: (part["image"], part["label"]))),
    ),
    "a head without gradient": (
        lambda x: explain(rounded(), x),
        r"computed from conv_layer 'conv' by an operation without gradient.*before it as output_layer=",
        lambda x: explain(rounded(), x, output_layer="votes"),
    ),
    "a call that a shared layer does not have": (
        lambda x: explain(shared(), x, conv_layer="twice@2"),
        r"conv_layer='twice@2'.*'twice' is called 2 times.*twice@0, twice@1",
        lambda x: explain(shared(), x, conv_layer="twice@1"),
    ),
    "a call of a layer that is called once": (
        lambda x: explain(shared(), x, conv_layer="once@1"),
        r"conv_layer='once@1'.*'once' is called once: leave off @1",
        lambda x: explain(shared(), x, conv_layer="once"),
    ),
    "one name at two paths": (
        lambda x: explain(namesakes(), x, conv_layer="conv"),
        r"conv_layer='conv' is ambiguous.*left/conv, right/conv.*whole path",
        lambda x: explain(namesakes(), x, conv_layer="right/conv"),
    ),
    "a layer that no image reaches": (
        lambda x: explain(beside_a_table(), [x, TABLE], conv_layer="made_up"),
        r"conv_layer='made_up'.*no spatial output.*none of the model's inputs has its grid.*conv",
        lambda x: explain(beside_a_table(), [x, TABLE], conv_layer="conv"),
    ),
    "a list for a dict": (
        lambda x: explain(named(), [x, TABLE]),
        r"takes a dict of inputs \['image', 'table'\], got list",
        lambda x: explain(named(), {"image": x, "table": TABLE}),
    ),
    "a dict of other names": (
        lambda x: explain(named(), {"images": x, "table": TABLE}),
        r"takes a dict of inputs \['image', 'table'\], got \['images', 'table'\]",
        lambda x: explain(named(), {"image": x, "table": TABLE}),
    ),
    "inputs of several batch sizes": (
        lambda x: explain(listed(), [x, TABLE[:3]]),
        r"one batch size, got \[3, 5\]",
        lambda x: explain(listed(), [x[:3], TABLE[:3]]),
    ),
    "a dataset of batches of batches": (
        lambda x: explain(listed(), tf.data.Dataset.from_tensors(((x[None], TABLE[None]), [0] * 5))),
        r"dataset's images have the shape \(1, 5, 16, 12, 3\), the model takes batches of rank 4",
        lambda x: explain(listed(), tf.data.Dataset.from_tensors(((x, TABLE), [0] * 5))),
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_said_of_a_model_names_the_remedy_and_the_remedy_works(images, case):
    call, message, remedy = BAD[case]
    with pytest.raises((ValueError, TypeError), match=f"(?s){message}"):
        call(images)
    maps = remedy(images)
    assert maps.shape[1:] == (16, 12, 1) and np.isfinite(maps).all()


def test_an_unbuilt_models_layers_can_be_listed_after_a_batch(images):
    explainer = tfcam.GradCAM(Parts())
    with pytest.raises(ValueError, match="explain a batch first, or build the model"):
        explainer.list_layers()
    explainer.explain(images)
    assert [info.path for info in explainer.list_layers()] == ["stem", "body", "act"]
    built = Parts()
    built(images)
    assert [info.path for info in tfcam.list_layers(built, images)] == ["stem", "body", "act"]


def test_a_saved_models_layers_cannot_be_seen_and_its_keras_file_can(tmp_path, images):
    inputs = keras.Input((16, 12, 3))
    features = L.Conv2D(4, 3, activation="relu")(L.Conv2D(4, 3)(inputs))
    model = keras.Model(inputs, L.Dense(2)(L.GlobalAveragePooling2D()(features)))
    model.export(tmp_path / "saved", verbose=False)
    wrapped = keras.Sequential([inputs, keras.layers.TFSMLayer(str(tmp_path / "saved"), call_endpoint="serve")])
    with pytest.raises(ValueError, match=r"convolves inside of compiled functions alone.*load it from a \.keras file"):
        explain(wrapped, images)
    model.save(tmp_path / "model.keras")
    assert explain(keras.models.load_model(tmp_path / "model.keras"), images).shape == (5, 16, 12, 1)
