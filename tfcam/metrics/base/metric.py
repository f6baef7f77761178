"""The base of all metrics: one value for each map, from a batch and its perturbed variants."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import numpy as np
import tensorflow as tf

from tfcam.data.validation import count_of, read_batch_size
from tfcam.engine import Report
from tfcam.engine.progress import bar
from tfcam.metrics.base.perturbed_batch import PerturbedBatch
from tfcam.metrics.base.scores import Batch, find_scores
from tfcam.operators import OperatorLike
from tfcam.registry import refuse_unknown_options

T = TypeVar("T")


@dataclass(frozen=True)
class MetricInfo:
    """What a metric says of itself.

    Attributes
    ----------
    name : str
        Its name in `tfcam.METRICS` and on the command line.
    metric : str
        Its class: ``tfcam.metrics.Deletion``.
    family : str
        What it measures the map against: one of `FAMILIES`.
    question, cost, paper : str
        What it measures, at how many passes an image, and who proposed it.
    higher_is_better : bool
        Whether higher values are better; otherwise lower ones.
    bounds : tuple of float
        The lowest and the highest value.
    """

    name: str
    metric: str
    family: str
    question: str
    higher_is_better: bool
    bounds: tuple[float, float]
    cost: str
    paper: str


#: What metrics measure maps against.
FAMILIES = {
    "faithfulness": "what the model says when pixels are taken away",
    "shape": "the map itself",
    "localisation": "where the object is",
    "sanity": "other weights, other classes, noisy images",
    "axioms": "what the score is made of",
}

#: Every metric by its name, filled by the classes themselves.
METRICS: dict[str, type[Metric]] = {}


@refuse_unknown_options
class Metric(ABC):
    """How well maps tell what a model looks at, measured on the model itself.

    A class with a `name` is in the registry, and so in `tfcam.evaluate`, the command line and the tables.

    Parameters
    ----------
    model : keras.Model, tf_keras.Model or callable
        Any Keras model, or any function from a batch of images to outputs ``(N, C)``, which is called as it is.
    inputs : array, tensor, list of images, list or dict of arrays for several inputs, or tf.data.Dataset
        As for `tfcam.Explainer.explain`.
    targets : int, array (N,), array (N, C), "predicted" or None
        What the maps explain, as for `tfcam.Explainer.explain`. ``"predicted"``: the class that is predicted. None:
        that of the dataset; otherwise only where the operator needs none.
    batch_size : int or None
        Images per forward pass, perturbed ones too. None: all at once.
    operator : Tasks, str, Operator, callable or None
        The score that is measured, as for `tfcam.Explainer`; default: classification.
    activation : {"auto", "softmax", "sigmoid", None}
        What is done to the outputs of a classification. ``"auto"``: a Keras model's probabilities are measured, the
        softmax of its logits where it puts out logits, or their sigmoid where it has one unit; the outputs of another
        function as they are. None: what is put out, as it is.
    output_layer : str, int, keras.Layer or None
        Whose output is measured, as for `tfcam.Explainer`.
    constant : {"raise", "nan"}
        What comes of a map that is the same everywhere, and so says nothing: an error, or NaN in its place, which the
        mean leaves out.

    Raises
    ------
    ValueError
        Where targets are missing, maps do not fit the images, hold NaN or are constant, or the metric is not defined
        for the scores of the operator.
    """

    name: ClassVar[str]
    #: A name of `FAMILIES`.
    family: ClassVar[str] = "faithfulness"
    #: What a good map shows.
    question: ClassVar[str]
    higher_is_better: bool
    #: The lowest and the highest value.
    bounds: tuple[float, float]
    cost: ClassVar[str]
    paper: ClassVar[str]
    #: Whether scores must be probabilities.
    needs_probabilities: ClassVar[bool] = False
    #: Whether images are explained again.
    needs_explainer: ClassVar[bool] = False
    #: Whether it must be told where the objects are.
    needs_objects: ClassVar[bool] = False
    #: Whether a map that is the same everywhere has no value.
    needs_contrast: ClassVar[bool] = True

    def __init__(
        self,
        model: Any,
        inputs: Any,
        targets: Any = None,
        batch_size: int | None = 32,
        operator: OperatorLike = None,
        *,
        activation: str | None = "auto",
        output_layer: Any = None,
        constant: str = "raise",
    ) -> None:
        if constant not in ("raise", "nan"):
            raise ValueError(f"constant={constant!r} is neither 'raise' nor 'nan'.")
        self.inputs, self.targets, self.constant = inputs, targets, constant
        self.batch_size = read_batch_size(batch_size)
        self.scores = find_scores(model, output_layer, operator, activation)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        refuse_unknown_options(cls)
        if "name" in vars(cls):
            METRICS[cls.name] = cls

    @classmethod
    def info(cls) -> MetricInfo:
        """Return what the metric says of itself."""
        said = cls.question, cls.higher_is_better, cls.bounds, cls.cost, cls.paper
        return MetricInfo(cls.name, cls.__name__, cls.family, *said)

    @abstractmethod
    def values(self, batch: PerturbedBatch) -> np.ndarray:
        """Return the value ``(N,)`` of each map, from a batch and its perturbed variants; or what `settled` settles."""

    def settled(self, values: np.ndarray) -> np.ndarray:
        """Return the value ``(N,)`` of each map, once `values` of all of them are known."""
        return values

    def __call__(self, heatmaps: Any, explainer: Any = None) -> float:
        """Return `evaluate(heatmaps, explainer)`."""
        return self.evaluate(heatmaps, explainer)

    def evaluate(self, heatmaps: Any, explainer: Any = None, *, progress: bool | Report = False) -> float:
        """Return the mean over the images; arguments as for `per_sample`."""
        return mean(self.per_sample(heatmaps, explainer, progress=progress))

    def per_sample(self, heatmaps: Any, explainer: Any = None, *, progress: bool | Report = False) -> np.ndarray:
        """Return the value of each map.

        Parameters
        ----------
        heatmaps : array or tensor
            ``(N, *grid)`` or ``(N, *grid, 1)``, of the size of the images.
        explainer : tfcam.Explainer or callable
            What made the maps, ``explainer(inputs, targets)``, for metrics that explain masked images again.
        progress : bool or callable
            Whether a progress bar is shown; a function is told instead how many images are done.

        Returns
        -------
        numpy.ndarray
            ``(N,)`` float64.
        """
        return self.settled(np.concatenate(list(self._each(self.checked_values, heatmaps, explainer, progress))))

    def checked_values(self, batch: PerturbedBatch) -> np.ndarray:
        """Return `values`, with NaN for maps that are constant, once the scores are seen to fit the metric."""
        if self.needs_probabilities:
            self._require_probabilities(batch.clean_scores())
        without = constant_maps(batch.heatmaps) & self.needs_contrast
        values = self.values(batch)
        return np.where(without.reshape(-1, *[1] * (values.ndim - 1)), np.nan, values)

    def _each(
        self, compute: Callable[[PerturbedBatch], T], heatmaps: Any, explainer: Any, progress: bool | Report
    ) -> Iterator[T]:
        """Yield what is computed of each batch."""
        self.check_explainer(explainer)
        maps, done = self._checked(heatmaps), 0
        with bar(len(maps), of="maps") if progress is True else nullcontext(progress or None) as report:
            for batch in self.batches(maps):
                own = maps_of(maps[done : done + batch.count], batch)
                yield compute(PerturbedBatch(self.scores, batch, own, self.batch_size, explainer))
                done += batch.count
                if report:
                    report(done)
        require_count(maps, done)

    def batches(self, maps: np.ndarray) -> Iterator[Batch]:
        """Yield the checked images that maps are of, in batches."""
        return self.scores.batches(self.inputs, self.targets, self.batch_size)

    def check_explainer(self, explainer: Any) -> None:
        """Refuse what did not make the maps as the metric needs it."""
        if self.needs_explainer and explainer is None:
            raise ValueError(
                f"{type(self).__name__} explains images again, so it needs what made the maps: "
                "evaluate(heatmaps, explainer)."
            )

    def _checked(self, heatmaps: Any) -> np.ndarray:
        """Return maps as float32, as many as there are images, and refuse what is wrong whatever the images are."""
        maps = read_heatmaps(heatmaps)
        if self.inputs is not None:
            require_count(maps, count_of(self.inputs))
        if self.constant == "raise" and self.needs_contrast:
            require_contrast(maps)
        return maps

    def _require_probabilities(self, scores: np.ndarray) -> None:
        odd = scores[(scores < -1e-6) | (scores > 1 + 1e-6)]
        if odd.size:
            raise ValueError(
                f"{type(self).__name__} is defined for probabilities, and there is a score of {odd[0]:.4g}: give "
                "activation='softmax' or 'sigmoid' where the model puts out logits; for other scores take Deletion, "
                "Insertion, MuFidelity or ROAD."
            )


def mean(values: np.ndarray) -> float:
    """Return the mean of values that are numbers; NaN where none is."""
    return float(np.mean(values, where=~np.isnan(values))) if not np.isnan(values).all() else float("nan")


def read_heatmaps(heatmaps: Any) -> np.ndarray:
    """Return maps as float32, refusing those that hold what is no number."""
    maps = np.asarray(heatmaps)
    if maps.dtype.kind not in "iufb" and maps.dtype.name != "bfloat16":
        raise TypeError(f"heatmaps must be numbers (N, *grid) or (N, *grid, 1), got dtype {maps.dtype}.")
    maps = maps.astype(np.float32)
    if maps.ndim < 2 or not len(maps):
        raise ValueError(f"heatmaps have the shape {maps.shape}; expected (N, *grid) or (N, *grid, 1).")
    finite = np.isfinite(maps).reshape(len(maps), -1).all(axis=1)
    if not finite.all():
        raise ValueError(f"heatmaps hold NaN or infinite values, first in map {np.argmin(finite)}: leave it out.")
    return maps


def require_count(maps: np.ndarray, images: int | None) -> None:
    """Refuse maps of another number than there are images; None: not known yet."""
    if images is not None and len(maps) != images:
        raise ValueError(f"{len(maps)} heatmaps were given for {images} images; there must be one for each.")


def maps_of(maps: np.ndarray, batch: Batch) -> tf.Tensor:
    """Return the maps ``(N, *grid)`` of a batch, of the size of its images."""
    if len(maps) < batch.count:
        raise ValueError("There are fewer heatmaps than images; there must be one for each.")
    grid = tuple(batch.images.shape[1:-1])
    own = maps[..., 0] if maps.shape[-1] == 1 and maps.ndim == len(grid) + 2 else maps
    if own.shape[1:] != grid:
        raise ValueError(
            f"heatmaps have the shape {maps.shape[1:]} each, and the images the grid {grid}: give maps (N, *grid) or "
            "(N, *grid, 1) of that size, as explain() does unless resize=False."
        )
    return tf.constant(own)


def constant_maps(maps: Any) -> np.ndarray:
    """Return whether each map ``(N, ...)`` is the same everywhere."""
    flat = np.reshape(np.asarray(maps), (len(maps), -1))
    return np.asarray(flat.max(axis=1) == flat.min(axis=1))


def require_contrast(maps: np.ndarray) -> None:
    """Refuse maps that are the same everywhere."""
    constant = np.flatnonzero(constant_maps(maps))
    if constant.size:
        shown = ", ".join(map(str, constant[:5])) + (" ..." if constant.size > 5 else "")
        value = maps[constant[0]].flat[0]
        raise ValueError(
            f"heatmaps {shown} are the same everywhere ({value:g}), so they say nothing of where: leave them out, or "
            "give constant='nan', which leaves them out of the mean."
        )
