"""Explanations: the heatmaps of batches, what was explained of them, and what is worth a warning."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from tfcam.data.validation import batch_size_of, count_of
from tfcam.engine.progress import Report, after, bar
from tfcam.engine.run import Run
from tfcam.engine.session import ModelSession
from tfcam.layers import Alignment
from tfcam.layers.alignment import find_alignment
from tfcam.ops.loops import in_turn, swapped

_BRANCHES = (
    "the model has {} branches that meet after their grids have ended, and the map is that of one: name the branch "
    "that you mean, or all, conv_layer={}"
)
#: How many images the fields are measured on where an explanation asks for them.
_MEASURED = 16


class ExplanationWarning(UserWarning):
    """An explanation that can be computed but should not be believed without a look at its cause."""


@dataclass(frozen=True)
class MapOptions:
    """What a call asks of its heatmaps.

    Attributes
    ----------
    resize, normalize : bool
        As in `Explainer.explain`; maps whose cells are aligned are resized too.
    several : bool
        Whether the targets are ``(N, T, ...)``, or the `top` classes: T maps an image.
    top : int or None
        How many of the highest classes are explained; None: the targets given.
    alignment : Alignment or None
        Where the cells of the layers lie; None: evenly.
    """

    resize: bool = True
    normalize: bool = False
    several: bool = False
    top: int | None = None
    alignment: Alignment | None = None

    @classmethod
    def read(cls, resize: Any, normalize: bool, align: Any, **options: Any) -> MapOptions:
        """Return what the arguments of a call ask for."""
        if resize == "aligned":
            return cls(True, normalize, alignment=find_alignment(align), **options)
        if not isinstance(resize, (bool, np.bool_)):
            raise ValueError(f"resize={resize!r} is none of True, False and 'aligned'.")
        if align is not None:
            raise ValueError(f"align={align!r} says how resize='aligned' places the cells: give that as well.")
        return cls(bool(resize), normalize, **options)


@dataclass(frozen=True)
class Explanation:
    """What one batch gave.

    Attributes
    ----------
    inputs, targets
        The batch, and what was explained of it, as the operator takes it.
    maps : tf.Tensor
        ``(N, *grid, 1)``, or ``(N, T, *grid, 1)`` for several targets; of several methods, by their names.
    details : dict of tf.Tensor
        What the operator tells of the targets; for a classification the ``"classes"``, ``(N,)`` or ``(N, T)``, and the
        ``"class_scores"``, the model's own output for every class, ``(N, classes)``. Of a single target the explained
        ``"scores"`` too, ``(N,)``, if the method explains one.
    findings : list of str
        What is worth a warning.
    """

    inputs: Any
    targets: Any
    maps: Any
    details: dict[str, tf.Tensor]
    findings: list[str]


@dataclass(frozen=True)
class Explanations:
    """The explanations of a session's model: as a formula, the parts of an `Explanation`, as tensors of a run.

    Attributes
    ----------
    session : ModelSession
    method : object
        What has ``heatmaps(run, options)``, ``(N, *grid)``; ``explains_scores``, whether these are of a score; and
        ``findings(run)``: what may be worth a warning, and whether it is. A `tfcam.methods.base.Method`, or several
        together, whose maps are by their names.
    options : MapOptions
    """

    session: ModelSession
    method: Any
    options: MapOptions

    def __call__(self, run: Run) -> dict[str, Any]:
        """Return the parts by their names."""
        operator, options = run.instrumented.operator, self.options
        run = replace(run, alignment=options.alignment)
        targets = run.targets if options.top is None else operator.top_targets(run, options.top)
        targets = operator.complete_several(run, targets) if options.several else targets
        maps, findings = self._in_turn(run, targets) if options.several else self._parts(run)
        tells_scores = self.method.explains_scores and not options.several
        return {
            "targets": targets,
            "maps": tf.nest.map_structure(lambda one: one[..., None], maps),
            "details": operator.details(run, targets) | ({"scores": run.scores()} if tells_scores else {}),
            "findings": findings | _not_finite(maps),
        }

    def _parts(self, run: Run) -> tuple[Any, dict[str, tf.Tensor]]:
        return self.method.heatmaps(run, self.options), self.method.findings(run)

    def _in_turn(self, run: Run, targets: Any) -> tuple[Any, dict[str, tf.Tensor]]:
        """Return the heatmaps ``(N, T, *grid)`` of targets ``(N, T, ...)``, from one forward pass."""
        each = tf.nest.map_structure(swapped, targets)
        first = run.explaining(tf.nest.map_structure(lambda one: one[0], each))
        dtypes = tf.nest.map_structure(lambda _: tf.bool, self.method.findings(first))
        maps, findings = in_turn(lambda target: self._parts(run.explaining(target)), each, (tf.float32, dtypes))
        return swapped(maps), {message: tf.reduce_any(found) for message, found in findings.items()}

    def each(self, inputs: Any, targets: Any, progress: bool | Report = False) -> Iterator[Explanation]:
        """Yield the `Explanation` of each batch; a function is told how many images are done, in place of a bar."""
        return self.each_of(self.session.pairs(inputs, targets), progress, inputs)

    def each_of(self, pairs: Iterable[tuple[Any, Any]], progress: bool | Report, inputs: Any) -> Iterator[Explanation]:
        """Yield the `Explanation` of each batch and its targets, which are those of the inputs."""
        done = 0
        with bar(count_of(inputs)) if progress is True else nullcontext(progress or None) as report:
            for x, targets in pairs:
                yield self.settled(x).of(x, targets, report and after(done, report))
                done += batch_size_of(x)

    def of(self, inputs: Any, targets: Any, report: Report | None = None) -> Explanation:
        """Return the `Explanation` of a batch, checked, and of targets as the user gave them."""
        known, count = self.session.known, batch_size_of(inputs)
        if self.session.takes_last_layer and known.other_branches:
            self._warn([_BRANCHES.format(len(known.other_branches), known.other_branches)])
        self._warn(known.findings)
        several = self.options.several and self.options.top is None
        read = known.read_several(targets, count) if several else known.read(targets, count)
        results = self.session.compute(self, inputs, read, several, report)
        given = tf.nest.flatten(results["maps"])[0].shape[0]
        if given != count:
            raise ValueError(
                f"conv_layer {', '.join(known.addresses)!r} gives {given} maps for {count} images: the model folds "
                "something else into the batch axis there; name a layer before that."
            )
        # Of several some may be nowhere in an image: their maps are empty.
        check = self.session.operator.check_several if self.options.several else self.session.operator.check_targets
        check(results["targets"])
        findings = [message for message, found in results["findings"].items() if found]
        self._warn(findings)
        return Explanation(inputs, results["targets"], results["maps"], results["details"], findings)

    def settled(self, inputs: Any) -> Explanations:
        """Return these, with the fields that the options may ask for, measured on the first images.

        Raises
        ------
        ValueError
            Where the cells of several layers are all placed by one offset and jump.
        """
        known, alignment = self.session.known, self.options.alignment
        if alignment is None:
            return self
        if alignment.offset_and_jump and len(known.addresses) > 1:
            raise ValueError(
                "align=(offset, jump) places the cells of one layer, and several are explained: take 'arithmetic' or "
                "'effective', which place each by its own field."
            )
        measured = {field.layer for field in alignment.measurements}
        if measured and (others := set(known.addresses) - measured):
            raise ValueError(
                f"align= has the fields of {sorted(measured)}, and {sorted(others)} is explained: measure it, as "
                "explainer.effective_fields(images) does."
            )
        if not alignment.needs_measurement:
            return self
        if known.fields is None:
            first = tf.nest.map_structure(lambda one: one[:_MEASURED], inputs)
            known.fields = tuple(self.session.effective_fields([first], samples=8, seed=0))
            self._warn([finding for field in known.fields if (finding := field.finding())])
        return replace(self, options=replace(self.options, alignment=Alignment(measurements=known.fields)))

    def _warn(self, findings: list[str]) -> None:
        """Warn, once, of what makes a map wrong or empty; at the line of the user's that asked for it."""
        known = self.session.known
        for message in set(findings) - known.warned:
            known.warned.add(message)
            level, frame = 1, inspect.currentframe()
            while frame and frame.f_back and frame.f_globals.get("__name__", "").split(".")[0] == "tfcam":
                level, frame = level + 1, frame.f_back
            layers, model = ", ".join(known.addresses), self.session.model.name
            where = f"{type(self.method).__name__} at conv_layer {layers!r} of {model!r}"
            warnings.warn(f"{where}: {message}.", ExplanationWarning, stacklevel=level)


def _not_finite(maps: Any) -> dict[str, tf.Tensor]:
    """Return whether some maps hold what is no number; of several, by their names."""
    message = "some maps hold NaN or infinite values: the model's activations overflow"
    named = {f"{name}: {message}": one for name, one in maps.items()} if isinstance(maps, dict) else {message: maps}
    return {said: ~tf.reduce_all(tf.math.is_finite(one)) for said, one in named.items()}
