"""Every operation of the table is run, and each of its properties measured."""

import math

import numpy as np
import pytest
import tensorflow as tf
from op_samples import RAW, normal, sample

from tfcam.graph.op_types import OP_TYPES, ROWS, UNKNOWN, OpType, apply, is_affine_in, op_type


class Op:
    """An operation of a type as a function of its inputs of floats."""

    def __init__(self, kind):
        self.row = op_type(kind)
        with tf.Graph().as_default():
            found = getattr(RAW, kind)(**{name: as_tensors(value) for name, value in sample(kind).items()})
            # In the order of the operation, which is not always that of the arguments.
            self.operation = tf.nest.flatten(found)[0].op
            self.values = [tf.get_static_value(tensor) for tensor in self.operation.inputs]
        self.is_float = [tensor.dtype.is_floating for tensor in self.operation.inputs]
        self.inputs = [value for value, floats in zip(self.values, self.is_float, strict=True) if floats]
        self.has_gradient = self.operation.outputs[0].dtype.is_floating

        self.run = tf.function(self._run)
        self.slopes = tf.function(self._slopes)

    def _run(self, *floats):
        left = iter(floats)
        inputs = [next(left) if mark else value for value, mark in zip(self.values, self.is_float, strict=True)]
        return apply(self.operation, map(tf.convert_to_tensor, inputs))[0]

    def _slopes(self, weights, *floats):
        total = tf.reduce_sum(self._run(*floats) * weights)
        return total, tf.gradients(total, floats, unconnected_gradients="zero")

    def __call__(self, *floats):
        return self.run(*map(tf.convert_to_tensor, floats)).numpy()

    def values_and_slopes(self, inputs, weights):
        """Return the weighted sum of the output, and its gradient with respect to each input."""
        total, slopes = self.slopes(tf.convert_to_tensor(weights), *map(tf.convert_to_tensor, inputs))
        return float(total), [one.numpy().astype("float64") for one in slopes]

    def weights(self):
        output = self(*self.inputs)
        return normal(*output.shape).astype(output.dtype)


def as_tensors(value):
    if isinstance(value, list) and isinstance(value[0], np.ndarray):
        return [tf.constant(one) for one in value]
    return tf.constant(value) if isinstance(value, (np.ndarray, np.generic)) else value


def is_affine(op, changing):
    """Return whether the gradient tells by how much the output changes with inputs of these numbers."""
    for _ in range(3):
        weights = op.weights()
        changes = [
            normal(*value.shape) if number in changing else np.zeros_like(value)
            for number, value in enumerate(op.inputs)
        ]
        before, slopes = op.values_and_slopes(op.inputs, weights)
        after, _ = op.values_and_slopes([a + b for a, b in zip(op.inputs, changes, strict=True)], weights)
        told = sum((slope * change).sum() for slope, change in zip(slopes, changes, strict=True))
        if not math.isclose(after - before, told, rel_tol=1e-3, abs_tol=1e-4):
            return False
    return True


def measured_affine(op):
    numbers = range(len(op.inputs))
    if len(numbers) > 1 and is_affine(op, set(numbers)):
        return "all"
    if len(numbers) > 1 and all(is_affine(op, {number}) for number in numbers):
        return "each"
    return "first" if is_affine(op, {0}) else ""


def measured_degree(op):
    """Return the d of Euler's theorem, ``sum_i df/dx_i x_i = d f``, in which weighted sums of the output agree."""
    degrees = {-1, -0.5, 0, 0.5, 1, 2}
    for _ in range(6):
        weights = op.weights()
        total, slopes = op.values_and_slopes(op.inputs, weights)
        terms = [(slope * value).ravel() for slope, value in zip(slopes, op.inputs, strict=True)]
        size = np.abs(op(*op.inputs) * weights).sum() + sum(np.abs(term).sum() for term in terms)
        degrees = {d for d in degrees if abs(sum(term.sum() for term in terms) - d * total) < 1e-4 * size}
    return next(iter(degrees)) if len(degrees) == 1 else None


def depends_on_own(op, axes):
    """Return whether each number of the output depends on those of its position along so many axes alone."""
    before = op(*op.inputs)
    sizes = [zip(reversed(value.shape), reversed(before.shape), strict=False) for value in op.inputs]
    if before.shape not in [value.shape for value in op.inputs] or any(
        a not in (1, b) for one in sizes for a, b in one
    ):
        return False
    for number, value in enumerate(op.inputs):
        for place in np.ndindex(value.shape):
            changed = [np.array(one) for one in op.inputs]
            changed[number][place] += 0.3 * np.sign(value[place] or 1)
            moved = op(*changed) != before
            own = np.zeros(value.shape, bool)
            own[place[: max(axes - before.ndim + value.ndim, 0)]] = True
            if (moved & ~np.broadcast_to(own, before.shape)).any():
                return False
    return True


#: Those that read no activations, or are a graph's own.
APART = ("constant", "call", "shape")
LISTS = ("TensorListFromTensor", "TensorListStack", "TensorListGetItem")
NUMERIC = [
    kind
    for kind, row in OP_TYPES.items()
    if row.family not in APART and row != OpType() and kind not in ("ResourceGather", *LISTS)
]
#: Functions with a gradient of their own are told by none; a product of n numbers has the degree n.
OF_NO_TYPE = ("IdentityN", "Prod")


@pytest.fixture(scope="module", params=NUMERIC)
def op(request):
    return Op(request.param)


def test_an_operation_is_affine_where_the_table_says_so(op):
    is_numeric = op.has_gradient and op.operation.type not in OF_NO_TYPE
    assert (measured_affine(op) if is_numeric else "") == op.row.affine


def test_an_operation_has_the_degree_of_the_table(op):
    is_numeric = op.has_gradient and op.operation.type not in OF_NO_TYPE
    assert (measured_degree(op) if is_numeric else None) == op.row.degree


def test_an_operation_keeps_numbers_and_cells_apart_where_the_table_says_so(op):
    rank = len(op(*op.inputs).shape)
    if op.inputs:
        assert depends_on_own(op, rank) == (op.row.reach == "number")
        assert depends_on_own(op, rank - 1) or not op.row.reach


def test_an_operation_moves_numbers_as_the_table_says(op):
    if op.row.rearranges:
        assert sorted(op(*op.inputs).ravel()) == sorted(op.inputs[0].ravel())


def test_the_output_of_an_operation_lies_where_the_table_says(op):
    output = op(*op.inputs) if op.has_gradient else np.zeros(1)
    low, high = op.row.bounds
    assert low <= output.min() and output.max() <= high
    if op.row.within:
        assert min(one.min() for one in op.inputs) <= output.min()
        assert output.max() <= max(one.max() for one in op.inputs)


def test_a_tape_sees_an_operation_that_is_applied_again():
    @tf.function
    def slope(x):
        reshaped = tf.reshape(tf.stack([x, x]), [-1])
        with tf.GradientTape() as tape:
            tape.watch(x)
            [stacked] = apply(reshaped.op.inputs[0].op, [x, 3 * x])
            [total] = apply(reshaped.op, [stacked, reshaped.op.inputs[1]])
            total = tf.reduce_sum(total)
        return tape.gradient(total, x)

    assert slope(tf.constant([1.0, 2.0])).numpy().tolist() == [4.0, 4.0]


def test_a_batch_normalisation_that_trains_is_affine_in_nothing():
    with tf.Graph().as_default():
        trained = RAW.FusedBatchNormV3(**sample("FusedBatchNormV3") | {"is_training": True, "mean": [], "variance": []})
        applied = RAW.FusedBatchNormV3(**sample("FusedBatchNormV3"))
    marks = [True, False, False, False, False]
    assert is_affine_in(applied.y.op, marks) and not is_affine_in(trained.y.op, marks)
    assert op_type(applied.y.op).reach == "number" and op_type(trained.y.op).reach == "cell"


def test_a_list_of_tensors_gives_the_numbers_that_it_was_given():
    @tf.function
    def through_lists(x):
        numbers = RAW.TensorListFromTensor(tensor=x, element_shape=[3])
        stacked = RAW.TensorListStack(input_handle=numbers, element_shape=[3], element_dtype=tf.float32)
        item = RAW.TensorListGetItem(input_handle=numbers, index=1, element_shape=[3], element_dtype=tf.float32)
        assert is_affine_in(numbers.op, [True, False])
        assert all(is_affine_in(one.op, [True, *[False] * (len(one.op.inputs) - 1)]) for one in (stacked, item))
        return stacked, item, tf.gradients([stacked, item], x)[0]

    x = normal(2, 3)
    stacked, item, slope = through_lists(tf.constant(x))
    np.testing.assert_array_equal(stacked, x)
    np.testing.assert_array_equal(item, x[1])
    np.testing.assert_array_equal(slope, [[1.0] * 3, [2.0] * 3])
    assert all((op_type(kind).affine, op_type(kind).degree) == ("first", 1) for kind in LISTS)


def test_an_operation_is_affine_in_no_index_and_no_condition():
    with tf.Graph().as_default():
        x, condition = tf.constant(normal(3, 4)), tf.constant([True, False, True, True])
        chosen, gathered = tf.where(condition, x, 2 * x), tf.gather(x, [0, 2])
    assert is_affine_in(chosen.op, [False, True, True]) and not is_affine_in(chosen.op, [True, True, False])
    assert is_affine_in(gathered.op, [True, False, False]) and not is_affine_in(gathered.op, [False, True, False])


#: The others are of a variable or a list of tensors.
SHAPES = ("Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike")


@pytest.mark.parametrize("kind", SHAPES)
def test_of_the_shape_family_all_numbers_give_the_same(kind):
    def run(values):
        given = {"input": [values, values]} if kind == "ShapeN" else {"x" if "Like" in kind else "input": values}
        return np.asarray(tf.nest.flatten(getattr(RAW, kind)(**given))[0])

    assert op_type(kind).family == "shape"
    np.testing.assert_array_equal(run(tf.constant(normal(2, 3))), run(tf.constant(normal(2, 3))))


def test_a_row_of_an_embedding_depends_on_its_index_alone():
    table = tf.Variable(normal(5, 3))

    def run(*indices):
        return RAW.ResourceGather(resource=table.handle, indices=[list(indices)], dtype=tf.float32).numpy()

    moved = (run(0, 1, 2) != run(0, 4, 2)).any(axis=-1)
    assert moved.tolist() == [[False, True, False]] and op_type("ResourceGather").reach == "cell"


def test_a_type_has_one_row():
    assert sum(len(names.split()) for names in ROWS) == len(OP_TYPES)


def test_a_type_that_is_not_in_the_table_is_unknown_and_not_harmless():
    row = op_type("MyOwnOp")
    assert row is UNKNOWN and not row.is_known and all(one.is_known for one in OP_TYPES.values())
    assert not (row.reach or row.affine or row.rearranges or row.within)
    assert row.degree is None and row.bounds == (-math.inf, math.inf)
