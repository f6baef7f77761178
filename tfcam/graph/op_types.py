"""What each type of TensorFlow operation computes: one table, read by everything that reads a graph."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Literal, TypeAlias

import tensorflow as tf

Family: TypeAlias = Literal[
    "convolution", "pooling", "reduction", "matrix product", "padding", "call", "shape", "constant", ""
]


@dataclass(frozen=True)
class OpType:
    """The properties of one type of operation; `UNKNOWN`, which has none, of a type that is not in the table.

    Attributes
    ----------
    family : str
        ``"shape"``: reads only the shapes of its inputs. ``"constant"``: reads no activations. ``"call"``: runs
        functions.
    reach : {"number", "cell", ""}
        ``"number"``: each number of the output depends on the numbers at its own position of the inputs alone.
        ``"cell"``: each cell depends on the same cell of the inputs alone, whose channels, the last axis, may mix.
    affine : {"first", "each", "all", ""}
        ``"first"``: affine in the first input of floats, the others being constant. ``"each"``: affine in each, the
        others being constant, as products are. ``"all"``: affine in all of them together, as sums are. The gradient
        is the slope: a stopped gradient is not affine.
    degree : float or None
        Euler's degree of homogeneity d in all inputs together: ``sum_i df/dx_i x_i = d f``. 1 for sums and ReLUs, 2 for
        squares and products, 0 for a step; None where there is none.
    rearranges : bool
        The output holds every number of the first input, reshaped, transposed or cast to another type.
    within : bool
        The output lies between the lowest and the highest number of the inputs.
    bounds : tuple of float
        The output lies between these, whatever the input.
    is_known : bool
        Whether the type is in the table.
    """

    family: Family = ""
    reach: Literal["number", "cell", ""] = ""
    affine: Literal["first", "each", "all", ""] = ""
    degree: float | None = None
    rearranges: bool = False
    within: bool = False
    bounds: tuple[float, float] = (-math.inf, math.inf)
    is_known: bool = field(default=True, repr=False)


UNKNOWN = OpType(is_known=False)

_CURVE = OpType(reach="number")
_STEP = replace(_CURVE, degree=0)
_POWER = replace(_CURVE, bounds=(0.0, math.inf))
_LINEAR = OpType(affine="first", degree=1)
_MOVE = replace(_LINEAR, within=True)
_RESHAPE = replace(_MOVE, rearranges=True)
_SUM = OpType(affine="all", degree=1)
_NORMALISATION = OpType(reach="number", affine="first")
_PRODUCT = OpType(affine="each", degree=2)

#: The operation types of each row, by their properties.
ROWS = {
    # Of each number alone.
    "Identity EnsureShape CheckNumerics Cast": replace(_RESHAPE, reach="number"),
    "StopGradient": replace(_STEP, within=True),
    "IdentityN": _CURVE,
    "Neg": replace(_LINEAR, reach="number"),
    "Add AddV2 AddN Sub BiasAdd": replace(_SUM, reach="number"),
    "Select SelectV2": replace(_SUM, reach="number", within=True),
    "Mul MulNoNan": replace(_PRODUCT, reach="number"),
    "Div RealDiv DivNoNan Xdivy": replace(_LINEAR, reach="number", degree=0),
    "Relu Abs": replace(_POWER, degree=1),
    "LeakyRelu": replace(_CURVE, degree=1),
    "Maximum Minimum ClipByValue": replace(_CURVE, degree=1, within=True),
    "FloorMod": replace(_CURVE, degree=1),
    "Square SquaredDifference": replace(_POWER, degree=2),
    "Sqrt": replace(_POWER, degree=0.5),
    "Rsqrt": replace(_POWER, degree=-0.5),
    "Reciprocal Inv": replace(_CURVE, degree=-1),
    "Exp Softplus Cosh Acosh": _POWER,
    "Pow Expm1 Log Log1p Selu Sinh Tan Asin Acos Atan Asinh Atanh": _CURVE,
    "FakeQuantWithMinMaxArgs FakeQuantWithMinMaxVars FakeQuantWithMinMaxVarsPerChannel": _CURVE,
    "Elu": replace(_CURVE, bounds=(-1.0, math.inf)),
    "Tanh Erf Softsign Sin Cos": replace(_CURVE, bounds=(-1.0, 1.0)),
    "Erfc": replace(_CURVE, bounds=(0.0, 2.0)),
    "Sigmoid": replace(_CURVE, bounds=(0.0, 1.0)),
    "Relu6": replace(_CURVE, bounds=(0.0, 6.0)),
    "Round Rint Floor Ceil FloorDiv": _STEP,
    "Sign": replace(_STEP, bounds=(-1.0, 1.0)),
    "Greater GreaterEqual Less LessEqual Equal NotEqual LogicalAnd LogicalOr LogicalNot IsNan IsInf IsFinite": _CURVE,
    "FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3": _NORMALISATION,
    # Of each cell alone.
    "Softmax": OpType(reach="cell", bounds=(0.0, 1.0)),
    "LogSoftmax": OpType(reach="cell", bounds=(-math.inf, 0.0)),
    "LRN ResourceGather": OpType(reach="cell"),
    # Numbers at other positions.
    "Reshape Squeeze ExpandDims Transpose": _RESHAPE,
    "StridedSlice Slice Unpack Split SplitV GatherV2 GatherNd Tile BroadcastTo ReverseV2 Roll": _MOVE,
    "SpaceToDepth DepthToSpace BatchToSpaceND": _MOVE,
    "SpaceToBatchND ScatterNd Cumsum MatrixDiagV3": _LINEAR,
    "MatrixDiagPartV3 TensorScatterUpdate": _SUM,
    "TopKV2": OpType(degree=1, within=True),
    "ConcatV2 Pack": replace(_SUM, within=True),
    "Pad": replace(_LINEAR, family="padding"),
    "PadV2": OpType("padding", affine="first"),
    "MirrorPad": replace(_MOVE, family="padding"),
    "ResizeBilinear ResizeNearestNeighbor": _MOVE,
    "ResizeBicubic": _LINEAR,
    # As loops keep them.
    "TensorListFromTensor TensorListStack TensorListGetItem": _LINEAR,
    # Of several numbers.
    "Mean": replace(_MOVE, family="reduction"),
    "Sum": replace(_LINEAR, family="reduction"),
    "Max Min": OpType("reduction", degree=1, within=True),
    "EuclideanNorm": OpType("reduction", degree=1, bounds=(0.0, math.inf)),
    "Prod All Any": OpType("reduction"),
    "AvgPool AvgPool3D": replace(_MOVE, family="pooling"),
    "MaxPool MaxPoolV2 MaxPool3D MaxPoolWithArgmax": OpType("pooling", degree=1, within=True),
    "MatMul BatchMatMul BatchMatMulV2 BatchMatMulV3 Einsum": replace(_PRODUCT, family="matrix product"),
    "Conv2D Conv3D DepthwiseConv2dNative": replace(_PRODUCT, family="convolution"),
    "Conv2DBackpropInput Conv3DBackpropInputV2": replace(_PRODUCT, family="convolution"),
    # The patches that a convolution multiplies.
    "ExtractImagePatches ExtractVolumePatches": replace(_LINEAR, family="convolution"),
    # Of no activations.
    "Shape ShapeN Size Rank VariableShape TensorListLength TensorListElementShape": OpType("shape"),
    "ZerosLike OnesLike": OpType("shape", reach="number"),
    "Const Placeholder PlaceholderWithDefault VarHandleOp ReadVariableOp NoOp Assert": OpType("constant"),
    "Range LinSpace Fill BroadcastArgs RandomUniform RandomStandardNormal": OpType("constant"),
    "PartitionedCall StatefulPartitionedCall While StatelessWhile": OpType("call"),
    "If StatelessIf Case StatelessCase": OpType("call"),
    # Known to have none of the properties.
    "ArgMax ArgMin OneHot Where": OpType(),
    "FFT IFFT RFFT IRFFT ComplexAbs Real Imag Complex Angle Conj": OpType(),
    "TensorListReserve TensorListSetItem EmptyTensorList TensorListPushBack TensorListPopBack": OpType(),
    "XlaDynamicSlice XlaDynamicUpdateSlice": OpType(),
    "StringLower StaticRegexReplace StringSplitV2 DenseBincount LookupTableFindV2 RaggedTensorToTensor": OpType(),
}
#: The whole table, by the names of the types.
OP_TYPES = {name: row for names, row in ROWS.items() for name in names.split()}


def op_type(operation: tf.Operation | str) -> OpType:
    """Return the properties of an operation, or of a type by its name."""
    if isinstance(operation, str):
        return OP_TYPES.get(operation, UNKNOWN)
    row = OP_TYPES.get(operation.type, UNKNOWN)
    if row is _NORMALISATION and operation.get_attr("is_training"):
        # The statistics of the batch are not counted as what a cell depends on, as in a squeeze-and-excite block.
        return OpType(reach="cell")
    return row


def is_differentiable(tensor: tf.Tensor) -> bool:
    """Whether a tensor can have a gradient: of floats, or a list of tensors, as loops keep them."""
    return tensor.dtype.is_floating or tensor.dtype == tf.variant


def of_floats(operation: tf.Operation, marks: Sequence[bool]) -> list[bool]:
    """Return the marks of those inputs of an operation that are no axes, conditions and the like."""
    return [mark for tensor, mark in zip(operation.inputs, marks, strict=True) if is_differentiable(tensor)]


def is_affine_in(operation: tf.Operation, marks: Sequence[bool]) -> bool:
    """Return whether an operation is affine in its marked inputs, the others being constant."""
    floats, affine = of_floats(operation, marks), op_type(operation).affine
    if sum(floats) < sum(marks):
        return False  # of indices or conditions: a step
    return affine == "all" or (affine != "" and sum(floats) == 1 and (affine == "each" or floats[0]))


def apply(operation: tf.Operation, inputs: Iterable[tf.Tensor]) -> list[tf.Tensor]:
    """Return what an operation computes of other inputs, with the same attributes, in the graph that is traced.

    Tapes and accumulators see it, as they see no operation that is copied from a graph.
    """
    tensors, implied = iter(inputs), set()
    arguments: dict[str, Any] = {}
    for argument in operation.op_def.input_arg:
        count = argument.number_attr or argument.type_list_attr
        size = operation.get_attr(count) if count else 1
        values = list(islice(tensors, size if isinstance(size, int) else len(size)))
        arguments[argument.name] = values if count else values[0]
        implied |= {argument.type_attr, count}
    for attribute in operation.op_def.attr:
        if attribute.name not in implied:
            value = operation.get_attr(attribute.name)
            arguments[attribute.name] = value.decode() if isinstance(value, bytes) else value
    function = getattr(tf.raw_ops, operation.type)
    # In Python some arguments have another name.
    parameters = [name for name in inspect.signature(function).parameters if name != "name"]
    others = iter([name for name in parameters if name not in arguments])
    named = {name if name in parameters else next(others): value for name, value in arguments.items()}
    return tf.nest.flatten(function(**named))
