"""The score of a class over a region."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfcam.graph.logits import is_probability
from tfcam.operators.base import ForwardPass, NothingToExplain, Operator
from tfcam.operators.classification import (
    Classification,
    by_class,
    classes_of,
    highest,
    read_numbers,
    require_one_output,
    weights_of,
)
from tfcam.operators.region import REGIONS, border, box_mask, largest_component, read_mask, read_region, region_array
from tfcam.ops.requirements import require

_CLASSES = Classification()


class Segmentation(Operator):
    r"""Score of a class over a region: why are these pixels that class? (Vinogradova et al., Seg-Grad-CAM, AAAI 2020.)

    .. math:: S = \sum_{p \in R} z_{c,p}

    or the mean over the region R. z are the logits of the outputs ``(N, *grid, C)``. Any method explains it: Grad-CAM
    is then Seg-Grad-CAM, HiRes-CAM is Seg-HiRes-CAM (Hasany et al., CVPR workshops 2023).

    Targets are classes, as those of a classification; or a dict of ``"class"`` and ``"region"``, for each image a mask
    ``(N, *grid)``, a pixel ``(N, 2)`` or a box ``(N, 4)``; or, as Xplique has them, weights ``(N, *grid, C)`` of all
    outputs. Without targets it is each image's class of most pixels.

    Parameters
    ----------
    region : str, sequence of int, or array
        Which pixels of the output count:

        - ``"predicted"``: those predicted as the class,
        - ``"border"``: those of them that touch pixels of another class,
        - ``"component"``: the largest connected part of them, diagonals included,
        - ``"all"``: all pixels,
        - a pixel ``(row, column)``, a box ``(top, left, bottom, right)``, whose last row and column are outside, or a
          mask of the output's size, the same for all images.
    reduction : str
        ``"mean"`` over the region, so that large and small regions compare, or ``"sum"``, as in the paper.
    background : int or None
        A class that is not taken where none is named.

    Raises
    ------
    ValueError
        Where an option is none of these, a region is empty or has no place in the output, or an output has no grid.

    Examples
    --------
    >>> import keras, numpy as np, tfcam
    >>> image = keras.Input((16, 16, 3))
    >>> down = keras.layers.Conv2D(4, 3, 2, padding="same", activation="relu")(image)
    >>> model = keras.Model(image, keras.layers.Conv2DTranspose(3, 3, 2, padding="same")(down))
    >>> images = np.random.default_rng(0).uniform(0, 1, (2, 16, 16, 3))
    >>> explainer = tfcam.GradCAM(model, operator=tfcam.Segmentation(region=(4, 4, 12, 12)))
    >>> explainer.explain(images, 2).shape
    TensorShape([2, 16, 16, 1])
    """

    name = "segmentation"

    def __init__(self, region: Any = "predicted", reduction: str = "mean", background: int | None = None) -> None:
        if isinstance(region, str) and region not in REGIONS:
            raise ValueError(f"region={region!r} is none of {REGIONS}, and no pixel, box or mask.")
        if reduction not in ("mean", "sum"):
            raise ValueError(f"reduction={reduction!r} is neither 'mean' nor 'sum'.")
        self.region = region if isinstance(region, str) else region_array(region)
        self.reduction, self.background = reduction, background

    def check_outputs(self, outputs: Any, model_name: str) -> None:
        """Refuse several outputs, and outputs without a grid."""
        require_one_output(outputs, model_name)
        [output] = tf.nest.flatten(outputs)
        if output.shape.rank < 3:
            raise ValueError(
                f"Model {model_name!r} puts out {tuple(output.shape)}, one prediction for an image and none for each "
                "pixel: leave operator='segmentation' off, or name an output with a grid, output_layer=."
            )

    def scores(self, run: ForwardPass) -> tf.Tensor:
        """Return the sum or the mean of the class over the region."""
        region = run.targets["region"]
        cells = list(range(1, region.shape.rank))
        total = tf.reduce_sum(tf.reduce_sum(_output(run) * region, axis=cells[:-1]) * run.targets["class"], axis=-1)
        if self.reduction == "sum":
            return total
        return tf.math.divide_no_nan(total, tf.reduce_sum(tf.abs(region), axis=cells))

    def default_targets(self, run: ForwardPass) -> dict[str, tf.Tensor]:
        """Return the class of most pixels."""
        return {"class": self.top_targets(run, 1)["class"][:, 0]}

    def top_targets(self, run: ForwardPass, k: int) -> dict[str, tf.Tensor]:
        """Return the k classes ``(N, k, C)`` of most pixels."""
        units = _output(run).shape[-1]
        areas = _areas(_predicted(run), units)
        if self.background is not None:
            # Below a class that has no pixel.
            areas = tf.where(tf.range(areas.shape[-1]) == self.background, -1, areas)
        return {"class": weights_of(highest(areas, k), units)}

    def complete_targets(self, run: ForwardPass, targets: Any) -> dict[str, tf.Tensor]:
        """Return the ``"class"``, the ``"region"`` as a mask, and ``"areas"``: how many pixels each class has."""
        if "region" in targets:
            return targets
        predicted = _predicted(run)
        areas = _areas(predicted, _output(run).shape[-1])
        return {"class": targets["class"], "region": self._region(predicted, targets), "areas": areas}

    def _region(self, predicted: tf.Tensor, targets: dict[str, tf.Tensor]) -> tf.Tensor:
        """Return the masks ``(N, *grid, 1)`` float32, or weights ``(N, *grid, C)``, where classes are predicted."""
        grid = tf.shape(predicted)[1:]
        if not (isinstance(self.region, str) or "box" in targets or "mask" in targets):
            # One for all images stands for those that are not given.
            targets = read_region(self.region[None], 1, predicted.shape[1:])
        if "box" in targets:
            inside = tf.reduce_all(targets["box"] <= grid)
            require(inside, "a region has pixels outside of the output of this batch, which is smaller")
            region = box_mask(targets["box"], grid)[..., None]
        elif "mask" in targets:
            region = tf.convert_to_tensor(targets["mask"])
            message = f"region has the shape {tuple(region.shape[1:-1])}, and the output of this batch another"
            require(tf.reduce_all(tf.shape(region)[1:-1] == grid), message)
        elif self.region == "all":
            region = tf.ones_like(predicted, tf.float32)[..., None]
        else:
            classes = tf.reshape(classes_of(targets["class"]), [-1, *[1] * (predicted.shape.rank - 1)])
            region = _PARTS[str(self.region)](tf.cast(predicted == classes, tf.float32))[..., None]
        return tf.broadcast_to(region, tf.concat([tf.shape(predicted), [region.shape[-1]]], axis=0))

    def mirrored_targets(self, run: ForwardPass, targets: Any, is_mirrored: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the targets with their regions mirrored where the images are."""
        region = targets["region"]
        return targets | {"region": tf.where(is_mirrored, tf.reverse(region, [region.shape.rank - 2]), region)}

    def check_targets(self, targets: Any) -> None:
        """Refuse regions without a pixel."""
        region = targets["region"]
        empty = np.flatnonzero(~tf.reduce_any(region != 0.0, axis=list(range(1, region.shape.rank))).numpy())
        if empty.size:
            there = np.flatnonzero(targets["areas"][empty[0]]).tolist()
            wanted = int(classes_of(targets["class"])[empty[0]])
            raise NothingToExplain(
                f"image {empty[0]} of the batch has an empty region={self.region!r} of class {wanted}: the model "
                f"predicts the classes {there} there. Explain one of them, or give a region of your own."
            )

    def read_targets(self, values: Any, count: int, outputs: Any) -> dict[str, np.ndarray]:
        """Return the ``"class"`` as weights ``(N, C)``, with the ``"box"`` or ``"mask"`` that was given."""
        [output] = tf.nest.flatten(outputs)
        units, grid = output.shape[-1], output.shape[1:-1]
        given = dict(values) if isinstance(values, dict) else {"class": values}
        # Complete targets may come again, as those that another explainer had.
        if not {"class"} <= set(given) <= {"class", "region", "areas"}:
            raise ValueError(f"targets have the keys {sorted(given)}; expected 'class', and 'region' or none.")
        classes = read_numbers(given["class"])
        if "region" not in given and classes.ndim == output.shape.rank and classes.shape[-1] == units:
            return {"class": np.ones((count, units), np.float32), "mask": read_mask(classes, count, (*grid, units))}
        if classes.ndim > 2:
            raise ValueError(
                f"targets have the shape {classes.shape}; expected ({count},) classes. A mask says where: give "
                "{'class': classes, 'region': masks}, such as {'class': 3, 'region': masks == 3}."
            )
        read = {"class": _CLASSES.read_targets(classes, count, outputs)}
        return read | (read_region(region_array(given["region"]), count, grid) if "region" in given else {})

    def details(self, run: ForwardPass, targets: Any) -> dict[str, tf.Tensor]:
        """Return the classes explained, and the regions ``(N, *grid)`` of a single target."""
        found, regions = {"classes": classes_of(targets["class"])}, self.regions(targets)
        return found if regions is None else found | {"regions": regions}

    def regions(self, targets: Any) -> tf.Tensor | None:
        """Return the regions ``(N, *grid)``; None where they are not known yet."""
        return tf.reduce_any(targets["region"] != 0, axis=-1) if "region" in targets else None


#: What is taken of the region of a class, by the region's name.
_PARTS = {"predicted": tf.identity, "border": border, "component": largest_component}


def _output(run: ForwardPass) -> tf.Tensor:
    [output] = tf.nest.flatten(run.outputs)
    return tf.cast(output, tf.float32)


def _predicted(run: ForwardPass) -> tf.Tensor:
    """Return the class of each pixel ``(N, *grid)``."""
    [output] = tf.nest.flatten(run.outputs)
    return tf.argmax(by_class(_output(run), is_probability(output)), axis=-1)


def _areas(predicted: tf.Tensor, units: int) -> tf.Tensor:
    """Return of how many pixels each class is, ``(N, classes)``."""
    classes, flat = max(units, 2), tf.reshape(predicted, [tf.shape(predicted)[0], -1])
    areas = tf.math.bincount(tf.cast(flat, tf.int32), minlength=classes, maxlength=classes, axis=-1)
    return tf.ensure_shape(areas, [None, classes])
