"""Image files explained in batches: read ahead, and each overlay written as soon as it is known."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

from tfcam.cli.models import LoadedModel
from tfcam.cli.pictures import Job, Photograph, UnreadableImage, UnwritableOverlay, read_image, write_overlay
from tfcam.heatmaps import Options
from tfcam.progress import Report, after

T = TypeVar("T")
R = TypeVar("R")

_READERS = 4


@dataclass(frozen=True)
class Outcome:
    """What came of a job.

    Attributes
    ----------
    job : Job
    name : str
        The explained class.
    score : float
        What the model puts out for it.
    problem : Exception or None
        Why there is no overlay.
    """

    job: Job
    name: str = ""
    score: float = 0.0
    problem: Exception | None = None


def explained(
    jobs: list[Job],
    loaded: LoadedModel,
    explainer: Any,
    label: int | None,
    options: Options,
    save_maps: bool,
    report: Report | None = None,
) -> Iterator[Outcome]:
    """Explain the images of jobs, write their overlays, and yield what came of each.

    `report` is told how many images are done.
    """
    done = 0
    shape = loaded.image_shape
    photographs = read_ahead(jobs, lambda job: read_image(job.image, shape), 2 * explainer.batch_size)
    # Images that keep their sizes do not fit one batch.
    most = 1 if None in shape[:2] else explainer.batch_size
    while batch := list(islice(photographs, most)):
        yield from (Outcome(job, problem=found) for job, found in batch if isinstance(found, UnreadableImage))
        before, done = done, done + len(batch)
        read = [(job, found) for job, found in batch if isinstance(found, Photograph)]
        if not read:
            continue
        images = loaded.batch_of([photograph for _, photograph in read])
        [one] = explainer.explanations(images, label, options, report and after(before, report))
        for index, ((job, photograph), heatmap) in enumerate(zip(read, one.maps.numpy(), strict=True)):
            try:
                write_overlay(job, photograph, heatmap, save_maps)
            except UnwritableOverlay as error:
                yield Outcome(job, problem=error)
            else:
                yield Outcome(job, *loaded.said_of(one, index))


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
