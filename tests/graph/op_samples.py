"""Arguments for one operation of each type."""

import inspect

import numpy as np
import tensorflow as tf

RAW = tf.raw_ops
RANDOM = np.random.default_rng(0)


def normal(*shape):
    return RANDOM.normal(size=shape).astype("float32")


def positive(*shape):
    return RANDOM.uniform(0.2, 0.8, shape).astype("float32")


#: Images ``(N, h, w, C)``.
IMAGES = (2, 4, 4, 4)
WINDOW = {"ksize": [1, 2, 2, 1], "strides": [1, 2, 2, 1], "padding": "VALID"}
VOLUMES = {"ksize": [1, 2, 2, 2, 1], "strides": [1, 2, 2, 2, 1], "padding": "VALID"}
SLIDING = {"strides": [1, 1, 1, 1], "padding": "SAME"}
SMALL = {"Asin", "Acos", "Atanh"}
POSITIVE = {"Sqrt", "Rsqrt", "Log", "Log1p", "Pow", "Acosh"}
NORMALISATION = [normal(*IMAGES), positive(4), normal(4), normal(4), positive(4)]


def sample(kind):
    """Return an operation's arguments by name: arrays are its inputs, all else its attributes."""
    if kind in SAMPLES:
        return SAMPLES[kind]
    names = [name for name in inspect.signature(getattr(RAW, kind)).parameters if name != "name"]
    draw = positive if kind in POSITIVE | SMALL else normal
    offset = 1.0 if kind == "Acosh" else 0.0
    floats = {"x", "y", "a", "b", "features", "input", "tensor", "t", "gradients", "logits"}
    return {name: draw(*IMAGES) + offset for name in names if name in floats}


def sizes(*numbers):
    return np.array(numbers, "int32")


RESIZING = {"images": positive(*IMAGES), "size": sizes(8, 8), "half_pixel_centers": True}
BLOCKS = {"block_shape": sizes(2, 2), "input": normal(4, 4, 4, 2)}
SAMPLES = {
    "MatrixDiagV3": {"diagonal": normal(2, 3), "k": 0, "num_rows": -1, "num_cols": -1, "padding_value": np.float32(0)},
    "Relu6": {"features": 6 * normal(*IMAGES)},
    **{name: {"x": 3 * normal(*IMAGES), "y": 1 + positive(*IMAGES)} for name in ("FloorDiv", "FloorMod")},
    "Cast": {"x": normal(*IMAGES), "DstT": tf.float64},
    "EnsureShape": {"input": normal(*IMAGES), "shape": [None, 4, None, 4]},
    "FakeQuantWithMinMaxArgs": {"inputs": normal(*IMAGES), "min": -1.0, "max": 1.0},
    "FakeQuantWithMinMaxVars": {"inputs": normal(*IMAGES), "min": np.float32(-1), "max": np.float32(1)},
    "FakeQuantWithMinMaxVarsPerChannel": {
        "inputs": normal(*IMAGES),
        "min": -2 - positive(4),
        "max": 2 + positive(4),
        "num_bits": 2,
    },
    "CheckNumerics": {"tensor": normal(*IMAGES), "message": ""},
    "IdentityN": {"input": [normal(*IMAGES), normal(*IMAGES)]},
    "AddN": {"inputs": [normal(*IMAGES), normal(*IMAGES)]},
    "BiasAdd": {"value": normal(*IMAGES), "bias": normal(4)},
    "Select": {"condition": normal(*IMAGES) > 0, "x": normal(*IMAGES), "y": normal(*IMAGES)},
    "SelectV2": {"condition": normal(*IMAGES) > 0, "t": normal(*IMAGES), "e": normal(*IMAGES)},
    "ClipByValue": {"t": normal(*IMAGES), "clip_value_min": np.float32(-0.5), "clip_value_max": np.float32(0.7)},
    "LogicalAnd": {"x": normal(*IMAGES) > 0, "y": normal(*IMAGES) > 0},
    "LogicalOr": {"x": normal(*IMAGES) > 0, "y": normal(*IMAGES) > 0},
    "LogicalNot": {"x": normal(*IMAGES) > 0},
    "Softmax": {"logits": normal(2, 3, 4)},
    "LogSoftmax": {"logits": normal(2, 3, 4)},
    "LRN": {"input": normal(*IMAGES), "depth_radius": 2},
    **{
        name: dict(zip(("x", "scale", "offset", "mean", "variance"), NORMALISATION, strict=True), is_training=False)
        for name in ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")
    },
    "Reshape": {"tensor": normal(*IMAGES), "shape": sizes(2, 16, 4)},
    "Squeeze": {"input": normal(2, 1, 4, 4), "axis": [1]},
    "ExpandDims": {"input": normal(*IMAGES), "axis": 1},
    "Transpose": {"x": normal(*IMAGES), "perm": sizes(0, 3, 1, 2)},
    "StridedSlice": {"input": normal(*IMAGES), "begin": sizes(0, 1), "end": sizes(2, 4), "strides": sizes(1, 2)},
    "Slice": {"input": normal(*IMAGES), "begin": sizes(0, 1, 0, 0), "size": sizes(2, 2, 4, 4)},
    "Unpack": {"value": normal(*IMAGES), "num": 4, "axis": 1},
    "Split": {"axis": 1, "value": normal(*IMAGES), "num_split": 2},
    "SplitV": {"value": normal(*IMAGES), "size_splits": sizes(1, 3), "axis": 1, "num_split": 2},
    "GatherV2": {"params": normal(*IMAGES), "indices": sizes(2, 0), "axis": 1},
    "GatherNd": {"params": normal(*IMAGES), "indices": sizes([0, 1], [1, 2])},
    "Tile": {"input": normal(*IMAGES), "multiples": sizes(1, 2, 1, 1)},
    "BroadcastTo": {"input": normal(2, 1, 4, 4), "shape": sizes(*IMAGES)},
    "ReverseV2": {"tensor": normal(*IMAGES), "axis": sizes(1)},
    "Roll": {"input": normal(*IMAGES), "shift": sizes(1), "axis": sizes(1)},
    "SpaceToDepth": {"input": normal(*IMAGES), "block_size": 2},
    "DepthToSpace": {"input": normal(*IMAGES), "block_size": 2},
    "SpaceToBatchND": {**BLOCKS, "paddings": sizes([0, 2], [0, 2])},
    "BatchToSpaceND": {**BLOCKS, "crops": sizes([0, 1], [0, 1])},
    "ScatterNd": {"indices": sizes([1], [0]), "updates": normal(2, 4), "shape": sizes(3, 4)},
    "TensorScatterUpdate": {"tensor": normal(3, 4), "indices": sizes([1], [0]), "updates": normal(2, 4)},
    "TopKV2": {"input": normal(*IMAGES), "k": np.int32(2)},
    "Cumsum": {"x": normal(*IMAGES), "axis": 1},
    "MatrixDiagPartV3": {"input": normal(*IMAGES), "k": sizes(0), "padding_value": np.float32(0)},
    "ConcatV2": {"values": [normal(*IMAGES), normal(*IMAGES)], "axis": 1},
    "Pack": {"values": [normal(*IMAGES), normal(*IMAGES)], "axis": 1},
    "Pad": {"input": normal(2, 4, 4), "paddings": sizes([0, 0], [1, 1], [0, 1])},
    "PadV2": {"input": normal(2, 4, 4), "paddings": sizes([0, 0], [1, 1], [0, 1]), "constant_values": normal()},
    "MirrorPad": {"input": normal(2, 4, 4), "paddings": sizes([0, 0], [1, 1], [0, 1]), "mode": "REFLECT"},
    "ResizeBilinear": RESIZING,
    "ResizeNearestNeighbor": RESIZING,
    "ResizeBicubic": RESIZING,
    "ResizeArea": {"images": positive(*IMAGES), "size": sizes(8, 8)},
    **{name: {"input": normal(*IMAGES), "axis": sizes(1, 2)} for name in ("Mean", "Sum", "Max", "Min", "Prod")},
    "EuclideanNorm": {"input": normal(*IMAGES), "axis": sizes(1, 2)},
    "All": {"input": normal(*IMAGES) > 0, "axis": sizes(1, 2)},
    "Any": {"input": normal(*IMAGES) > 0, "axis": sizes(1, 2)},
    "AvgPool": {"value": normal(*IMAGES), **WINDOW},
    "MaxPool": {"input": normal(*IMAGES), **WINDOW},
    "MaxPoolV2": {
        "input": normal(*IMAGES),
        "ksize": sizes(1, 2, 2, 1),
        "strides": sizes(1, 2, 2, 1),
        "padding": "VALID",
    },
    "MaxPoolWithArgmax": {"input": normal(*IMAGES), **WINDOW},
    "AvgPool3D": {"input": normal(2, 4, 4, 4, 2), **VOLUMES},
    "MaxPool3D": {"input": normal(2, 4, 4, 4, 2), **VOLUMES},
    "MatMul": {"a": normal(3, 4), "b": normal(4, 5)},
    **{name: {"x": normal(2, 3, 4), "y": normal(2, 4, 5)} for name in ("BatchMatMul", "BatchMatMulV2")},
    "BatchMatMulV3": {"x": normal(2, 3, 4), "y": normal(2, 4, 5), "Tout": tf.float32},
    "Einsum": {"inputs": [normal(2, 3, 4), normal(4, 5)], "equation": "abc,cd->abd"},
    "Conv2D": {"input": normal(*IMAGES), "filter": normal(3, 3, 4, 2), **SLIDING},
    "DepthwiseConv2dNative": {"input": normal(*IMAGES), "filter": normal(3, 3, 4, 1), **SLIDING},
    "Conv3D": {"input": normal(1, 3, 3, 3, 2), "filter": normal(2, 2, 2, 2, 1), "strides": [1] * 5, "padding": "SAME"},
    "Conv2DBackpropInput": {
        "input_sizes": sizes(*IMAGES),
        "filter": normal(3, 3, 4, 2),
        "out_backprop": normal(2, 4, 4, 2),
        **SLIDING,
    },
    "Conv3DBackpropInputV2": {
        "input_sizes": sizes(1, 3, 3, 3, 2),
        "filter": normal(2, 2, 2, 2, 1),
        "out_backprop": normal(1, 3, 3, 3, 1),
        "strides": [1] * 5,
        "padding": "SAME",
    },
    "ExtractImagePatches": {
        "images": normal(*IMAGES),
        "ksizes": [1, 2, 2, 1],
        "strides": [1, 2, 2, 1],
        "rates": [1] * 4,
        "padding": "VALID",
    },
    "ExtractVolumePatches": {
        "input": normal(2, 4, 4, 4, 2),
        "ksizes": [1, 2, 2, 2, 1],
        "strides": [1, 2, 2, 2, 1],
        "padding": "VALID",
    },
}
