"""Explanation of image files in batches: files are read ahead, and each overlay is written immediately."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import compress, islice
from typing import Any, TypeVar

import numpy as np

from tfcam.cli.image_files import Job, Photograph, UnreadableImage, UnwritableOverlay, read_image, write_overlay
from tfcam.cli.models import LoadedModel
from tfcam.cli.panels import Look, Panel, draw
from tfcam.engine import Explanation, MapOptions, Report
from tfcam.engine.progress import after
from tfcam.operators import NothingToExplain, Operator

T = TypeVar("T")
R = TypeVar("R")

_READERS = 4


@dataclass(frozen=True)
class Outcome:
    """What came of a job.

    Attributes
    ----------
    job : Job
    said : list of (str, str)
        What each map is of, and how much, as `LoadedModel.said_of` tells.
    problem : Exception or None
        Why there is no overlay.
    title : str
        The image, and what a reader should know of how it was read.
    """

    job: Job
    said: Sequence[tuple[str, str]] = ()
    problem: Exception | None = None
    title: str = ""


@dataclass(frozen=True)
class Request:
    """What is explained of each image, and how it is shown.

    Attributes
    ----------
    operator : Operator
    label : int or None
        The class; None: the predicted one.
    top : int or None
        How many of the highest classes are explained, in place of one.
    options : MapOptions
    look : Look
    save_maps : bool
    """

    operator: Operator
    label: int | None
    top: int | None
    options: MapOptions
    look: Look
    save_maps: bool


def explained(
    jobs: list[Job], loaded: LoadedModel, explainers: dict[str, Any], request: Request, report: Report | None = None
) -> Iterator[Outcome]:
    """Explain the images of jobs by each method, write their pictures, and yield what came of each.

    `report` is told how many images are done.
    """
    done = 0
    shape, batch_size = loaded.image_shape, next(iter(explainers.values())).batch_size
    photographs = read_ahead(jobs, lambda job: read_image(job.image, shape), 2 * batch_size)
    # Images that keep their sizes do not fit one batch.
    most = 1 if None in shape[:2] else batch_size
    options = replace(request.options, several=request.top is not None, top=request.top)
    while batch := list(islice(photographs, most)):
        yield from (Outcome(job, problem=found) for job, found in batch if isinstance(found, UnreadableImage))
        before, done = done, done + len(batch)
        read = [(job, found) for job, found in batch if isinstance(found, Photograph)]
        if not read:
            continue
        told = report and after(before, report)
        work = partial(_explained, loaded=loaded, explainers=explainers, request=request, options=options, report=told)
        for came in or_alone(read, work):
            yield came if isinstance(came, Outcome) else Outcome(came[0][0], problem=came[1])


def _explained(
    read: list[tuple[Job, Photograph]],
    loaded: LoadedModel,
    explainers: dict[str, Any],
    request: Request,
    options: MapOptions,
    report: Report | None,
) -> Iterator[Outcome]:
    """Explain the images of a batch by each method, write their pictures, and yield what came of each."""
    images = loaded.batch_of([photograph for _, photograph in read])
    found: dict[str, Any] = {}
    for name, explainer in explainers.items():
        # The first method tells how far it is.
        [found[name]] = explainer.explanations(images, request.label, options, None if found else report)
    for index, (job, photograph) in enumerate(read):
        yield _written(job, photograph, index, loaded, found, explainers, request)


def _written(
    job: Job,
    photograph: Photograph,
    index: int,
    loaded: LoadedModel,
    found: dict[str, Any],
    explainers: dict[str, Any],
    request: Request,
) -> Outcome:
    """Write the picture of an image of a batch, and return what came of it."""
    panels: list[Panel] = []
    said: list[tuple[str, str]] = []
    for method, one in found.items():
        maps, regions, is_there = _of_image(one, index)
        said = list(compress(loaded.said_of(request.operator, one, index), is_there))
        layer = explainers[method].conv_layer
        caption = f"{method} at {layer if isinstance(layer, str) else f'{len(layer)} layers'}"
        for heatmap, region, words in zip(maps[is_there], compress(regions, is_there), said, strict=True):
            panels.append(Panel(photograph.fitted(heatmap[..., None]), " ".join(words), caption, region))
    if not panels:
        return Outcome(job, problem=NothingToExplain(f"{job.image} has no detection above the threshold."))
    first = next(iter(found.values())).maps[index].numpy()[..., 0]
    try:
        picture = draw(photograph.shown, job.image.name, panels, request.look)
        write_overlay(job, photograph, first, picture, request.save_maps)
    except UnwritableOverlay as error:
        return Outcome(job, problem=error)
    return Outcome(job, said, title=photograph.titled(job.image))


def _of_image(found: Explanation, index: int) -> tuple[np.ndarray, Sequence[Any], np.ndarray]:
    """Return the maps ``(T, h, w)`` of an image of a batch, the region of each, and which of them are of anything."""
    maps = found.maps[index].numpy()[..., 0]
    maps = maps if maps.ndim > 2 else maps[None]
    regions: Sequence[Any] = [None] * len(maps)
    if "regions" in found.details:
        given = found.details["regions"][index].numpy()
        regions = given.reshape(len(maps), *given.shape[-2:])
    # Where fewer objects are found than are asked for, the class is -1.
    classes = found.details["classes"][index].numpy() if "classes" in found.details else np.zeros(1)
    return maps, regions, np.broadcast_to(classes >= 0, len(maps))


def or_alone(read: list[Any], work: Callable[[list[Any]], Iterable[R]]) -> Iterator[R | tuple[Any, NothingToExplain]]:
    """Yield what comes of a batch or, where an image has nothing that is asked for, of each image alone.

    What was read of an image begins with what has its path, ``image``. One that has nothing comes with an error that
    names it.
    """
    try:
        yield from work(read)
    except NothingToExplain:
        for one in read:
            try:
                yield from work([one])
            except NothingToExplain as problem:
                yield one, NothingToExplain(f"{one[0].image}: {problem}")


def read_ahead(jobs: Iterable[T], read: Callable[[T], R], ahead: int) -> Iterator[tuple[T, R | UnreadableImage]]:
    """Yield each job with what is read of it, or why nothing is; some are read while others are explained."""

    def attempt(job: T) -> R | UnreadableImage:
        try:
            return read(job)
        except UnreadableImage as error:
            return error

    with ThreadPoolExecutor(_READERS) as pool:
        pending: deque[tuple[T, Future[R | UnreadableImage]]] = deque()
        for job in jobs:
            pending.append((job, pool.submit(attempt, job)))
            if len(pending) > ahead:
                first, found = pending.popleft()
                yield first, found.result()
        for first, found in pending:
            yield first, found.result()
