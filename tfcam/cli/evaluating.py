"""Image files evaluated in batches; what is measured is kept as it comes, and an interrupted run goes on from there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from tfcam.cli.explaining import read_ahead
from tfcam.cli.labels import Labelled
from tfcam.cli.models import LoadedModel
from tfcam.cli.object_files import ObjectFiles
from tfcam.cli.pictures import Photograph, UnreadableImage, read_image
from tfcam.evaluation import Evaluator, Measured, Part
from tfcam.objects import Objects, joined
from tfcam.progress import Report

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

    Parameters
    ----------
    path : Path
    settings : dict
        What the values depend on; a file of other settings is refused.
    overwrite : bool
        Whether what is there is forgotten.
    """

    def __init__(self, path: Path, settings: dict[str, Any], overwrite: bool) -> None:
        self._path, self.measured, self.done = path, Measured(), set[Labelled]()
        if overwrite or not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(settings) + "\n", encoding="utf-8")
            return
        text = path.read_text(encoding="utf-8")
        # A line that an interrupt cut off ends in no newline; it is measured again.
        whole = text[: text.rfind("\n") + 1]
        first, *lines = whole.splitlines() or [""]
        if first != json.dumps(settings):
            raise ValueError(
                f"{path} holds what was measured with other settings, {first or 'none'}: give another --output, or "
                "--overwrite."
            )
        if whole != text:
            path.write_text(whole, encoding="utf-8")
        for line in lines:
            self._take(json.loads(line))

    def add(self, images: Sequence[Labelled], part: Part) -> None:
        """Add what a batch of images gave."""
        seconds = list(part.seconds.values())
        records = [
            {"image": str(one.image), "label": one.label, "values": _values(part, index), "seconds": seconds}
            for index, one in enumerate(images)
        ]
        with self._path.open("a", encoding="utf-8") as file:
            file.write("".join(json.dumps(record) + "\n" for record in records))
        for record in records:
            self._take(record)

    def _take(self, record: dict[str, Any]) -> None:
        values = {
            (method, layer): {name: np.array([v], np.float64) for name, v in by.items()}
            for method, layer, by in record["values"]
        }
        self.measured.add(Part(values, dict(zip(values, record["seconds"], strict=True))))
        self.done.add(Labelled(Path(record["image"]), record["label"]))


def measure(
    images: list[Labelled],
    loaded: LoadedModel,
    evaluator: Evaluator,
    journal: Journal,
    batch_size: int,
    objects: ObjectFiles | None = None,
    report: Report | None = None,
) -> Iterator[UnreadableImage]:
    """Measure images batch by batch into a journal, and yield those that cannot be read."""
    shape = loaded.image_shape
    photographs = read_ahead(images, lambda one: _read(one.image, shape, objects), 2 * batch_size)
    # Images that keep their sizes do not fit one batch.
    most, done = 1 if None in shape[:2] else batch_size, 0
    while batch := list(islice(photographs, most)):
        yield from (found for _, found in batch if isinstance(found, UnreadableImage))
        read = [(one, *found) for one, found in batch if not isinstance(found, UnreadableImage)]
        if read:
            named, photos, where = zip(*read, strict=True)
            labels = np.array([one.label for one in named])
            [checked] = evaluator.batches(loaded.batch_of(photos), labels, joined(where) if objects else None)
            journal.add(named, evaluator.measured(checked))
        done += len(batch)
        if report:
            report(done)


def _read(
    image: Path, shape: tuple[int | None, int | None, int | None], objects: ObjectFiles | None
) -> tuple[Photograph, Objects | None]:
    photograph = read_image(image, shape)
    return photograph, objects.of(image, photograph.taken.shape[:2]) if objects else None


def file_version(model: str | None) -> list[int] | None:
    """Return what tells one version of a model's file from another; None where there is no file."""
    if model is None or not Path(model).is_file():
        return None
    told = Path(model).stat()
    return [told.st_size, told.st_mtime_ns]


def _values(part: Part, index: int) -> list[Any]:
    """Return what was measured of an image of a batch, by method and layer, as JSON takes it."""
    return [[*key, {name: _number(values[index]) for name, values in by.items()}] for key, by in part.values.items()]


def _number(value: Any) -> Any:
    if np.ndim(value):
        return [_number(one) for one in value]
    return None if np.isnan(value) else float(value)
