"""Evaluation of image files in batches, with a journal from which an interrupted run resumes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from tfcam.cli.explain_files import or_alone, read_ahead
from tfcam.cli.files import digest, refusing_a_full_disk, whole
from tfcam.cli.ground_truth_files import GroundTruthFiles
from tfcam.cli.image_files import Photograph, UnreadableImage, read_image
from tfcam.cli.labels import Labelled
from tfcam.cli.models import LoadedModel
from tfcam.engine import Report
from tfcam.evaluation import Evaluator
from tfcam.evaluation.evaluator import BatchValues, Measured
from tfcam.metrics.base import GroundTruth
from tfcam.metrics.base.ground_truth import joined
from tfcam.operators import NothingToExplain

#: Where what is measured is kept.
JOURNAL = "measured.jsonl"


def read_metrics(wanted: Sequence[str]) -> list[tuple[str, dict[str, Any]]] | None:
    """Return metrics and their options of texts such as ``"deletion:percent=10,baseline=mean"``; None for none."""
    return [_read_metric(one) for one in wanted] or None


def _read_metric(text: str) -> tuple[str, dict[str, Any]]:
    name, _, rest = text.partition(":")
    options = {}
    for option in re.findall(r"(?:\[[^\]]*\]|[^,])+", rest):
        key, equals, value = option.partition("=")
        if not equals:
            raise ValueError(f"--metric {text!r}: options are written as deletion:percent=10,baseline=mean.")
        try:
            options[key.strip()] = json.loads(value)
        except ValueError:
            options[key.strip()] = value
    return name, options


class Journal:
    """What was measured of each image, in a file that grows as the run goes on.

    Only what is of the images of this run counts, as they are now: a record holds the digest of the image's file and of
    where its objects are. Of several records of one image, the last counts.

    Parameters
    ----------
    path : Path
    settings : dict
        What the values depend on; a file of other settings is refused.
    images : list of Labelled
        The images of this run.
    identify : callable
        From an image to what tells its contents from any other; None where it cannot be read.
    overwrite : bool
        Whether what is there is forgotten.

    Attributes
    ----------
    damaged : int
        How many lines could not be read; what they held is measured again.
    """

    def __init__(
        self,
        path: Path,
        settings: dict[str, Any],
        images: Sequence[Labelled],
        identify: Callable[[Path], str | None],
        overwrite: bool,
    ) -> None:
        self._path, self._images = path, images
        self._records: dict[Labelled, dict[str, Any]] = {}
        self.damaged = 0
        head = json.dumps(settings)
        lines = _lines_of(path) if path.exists() and not overwrite else [head]
        if lines[0] != head:
            _refuse_settings(path, lines[0])
        wanted = set(images)
        for line in lines[1:]:
            record = _record_of(line)
            if record is None:
                self.damaged += 1
            elif (one := _labelled(record)) in wanted:
                self._records[one] = record
        self._records = {one: each for one, each in self._records.items() if each["contents"] == identify(one.image)}
        # Written anew, so that a line that was cut off is not gone on with.
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path) as part:
            part.write_text("".join(f"{line}\n" for line in [head, *map(json.dumps, self._records.values())]))

    @property
    def left(self) -> list[Labelled]:
        """The images that are still to be measured."""
        return [one for one in self._images if one not in self._records]

    @property
    def done(self) -> int:
        """How many images are measured."""
        return len(self._records)

    def add(self, images: Sequence[Labelled], contents: Sequence[str], part: BatchValues) -> None:
        """Add what a batch of images gave.

        Raises
        ------
        DiskFull
            Where the disk takes no more files.
        """
        seconds = list(part.seconds.values())
        records = {
            one: {
                "image": str(one.image),
                "label": one.label,
                "contents": content,
                "values": _values(part, index),
                "seconds": seconds,
            }
            for index, (one, content) in enumerate(zip(images, contents, strict=True))
        }
        with refusing_a_full_disk(self._path), self._path.open("a", encoding="utf-8") as file:
            file.write("".join(json.dumps(record) + "\n" for record in records.values()))
        self._records |= records

    def measured(self) -> Measured:
        """Return what was measured of the images of this run, in their order."""
        found = Measured()
        for one in self._images:
            if one in self._records:
                found.add(_part_of(self._records[one]))
        return found


def _lines_of(path: Path) -> list[str]:
    """Return the lines of a journal; the first one is empty where there is none."""
    # What a power cut leaves may be no text.
    return path.read_bytes().decode("utf-8", errors="replace").split("\n")[:-1] or [""]


def _refuse_settings(path: Path, head: str) -> None:
    try:
        json.loads(head)
    except ValueError:
        raise ValueError(
            f"{path} is damaged in its first line, which says what it was measured with: give another --output, or "
            "--overwrite."
        ) from None
    raise ValueError(
        f"{path} holds what was measured with other settings, {head}: give another --output, or --overwrite."
    )


def _record_of(line: str) -> dict[str, Any] | None:
    """Return the record of a line; None where it is damaged."""
    try:
        record = json.loads(line)
        hash(_labelled(record))
        _part_of(record)
        return record if isinstance(record["contents"], str) else None
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _labelled(record: dict[str, Any]) -> Labelled:
    return Labelled(Path(record["image"]), record["label"])


def _part_of(record: dict[str, Any]) -> BatchValues:
    values = {
        (method, layer): {name: np.array([v], np.float64) for name, v in by.items()}
        for method, layer, by in record["values"]
    }
    return BatchValues(values, dict(zip(values, record["seconds"], strict=True)))


def measure(
    images: list[Labelled],
    loaded: LoadedModel,
    evaluator: Evaluator,
    journal: Journal,
    batch_size: int,
    ground_truth: GroundTruthFiles | None = None,
    report: Report | None = None,
) -> Iterator[Exception | str]:
    """Measure images batch by batch into a journal; yield why one is left out, and remarks on those that are not."""
    shape = loaded.image_shape
    photographs = read_ahead(images, lambda one: _read(one.image, shape, ground_truth), 2 * batch_size)
    # Images that keep their sizes do not fit one batch.
    most, done = 1 if None in shape[:2] else batch_size, 0
    while batch := list(islice(photographs, most)):
        yield from (found for _, found in batch if isinstance(found, UnreadableImage))
        read = [(one, *found) for one, found in batch if not isinstance(found, UnreadableImage)]
        if read:
            yield from (photo.titled(one.image) for one, photo, _, _ in read if photo.remarks)
            for came in or_alone(read, lambda some: _measured(some, loaded, evaluator, ground_truth is not None)):
                if isinstance(came[-1], NothingToExplain):
                    yield came[-1]
                else:
                    journal.add(*came)
        done += len(batch)
        if report:
            report(done)


def _measured(
    read: list[tuple[Labelled, Photograph, GroundTruth | None, str]],
    loaded: LoadedModel,
    evaluator: Evaluator,
    knows_objects: bool,
) -> Iterator[tuple[Sequence[Labelled], Sequence[str], BatchValues]]:
    """Yield the images of a batch, what tells their contents from others, and what is measured of them."""
    named, photos, where, contents = zip(*read, strict=True)
    labels = np.array([one.label for one in named])
    [batch] = evaluator.batches(loaded.batch_of(photos), labels, joined(where) if knows_objects else None)
    yield named, contents, evaluator.measured(batch)


def _read(
    image: Path, shape: tuple[int | None, int | None, int | None], ground_truth: GroundTruthFiles | None
) -> tuple[Photograph, GroundTruth | None, str]:
    photograph = read_image(image, shape)
    where = ground_truth.of(image, photograph.taken.shape[:2]) if ground_truth else None
    return photograph, where, _with_ground_truth(photograph.contents, image, ground_truth)


def identity(image: Path, ground_truth: GroundTruthFiles | None) -> str | None:
    """Return what tells an image, and where its objects are, from any other; None where it cannot be read."""
    try:
        return _with_ground_truth(digest(image), image, ground_truth)
    except (OSError, ValueError):
        return None


def _with_ground_truth(contents: str, image: Path, ground_truth: GroundTruthFiles | None) -> str:
    return contents + (ground_truth.digest(image) if ground_truth else "")


def file_version(model: str | None) -> list[int] | None:
    """Return what tells one version of a model's file from another; None where there is no file."""
    if model is None or not Path(model).is_file():
        return None
    told = Path(model).stat()
    return [told.st_size, told.st_mtime_ns]


def _values(part: BatchValues, index: int) -> list[Any]:
    """Return what was measured of an image of a batch, by method and layer, as JSON takes it."""
    return [[*key, {name: _number(values[index]) for name, values in by.items()}] for key, by in part.values.items()]


def _number(value: Any) -> Any:
    if np.ndim(value):
        return [_number(one) for one in value]
    return None if np.isnan(value) else float(value)
