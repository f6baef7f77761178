"""The types of operations that models run."""

import tensorflow as tf

from tfcam.graph.op_types import op_type
from tfcam.graph.traversal import Functions, ancestors


def unknown_types(run):
    """Return the types of the operations before the outputs of a run, in functions too, that are in no table."""
    functions = Functions(run.graph)
    operations = {operation for output in tf.nest.flatten(run.outputs) for operation in ancestors(output.op)}
    kinds = {kind for operation in operations for kind, _ in functions.operations(operation)}
    assert len(kinds) > 5
    return {kind for kind in kinds if not op_type(kind).is_known}
