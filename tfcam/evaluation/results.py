"""Tables of an evaluation: means, confidence intervals and ranks."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import rankdata


class Estimate(NamedTuple):
    """The mean of a metric over images, and what it may be over others.

    Attributes
    ----------
    mean, low, high : float
        The mean, and the ends of its bootstrap confidence interval; NaN where no image has a value.
    images : int
        The number of images with a value: those whose map is not the same everywhere.
    rank : float
        The place among the methods and layers, 1 for the best; ties share the mean of theirs.
    """

    mean: float
    low: float
    high: float
    images: int
    rank: float


class Difference(NamedTuple):
    """How much more one method's values of a metric are than another's, image by image.

    Attributes
    ----------
    mean, low, high : float
        The mean, and the ends of its bootstrap confidence interval. Where 0 is within, they were not told apart.
    wins : float
        The share of the images where the first is better; ties count half.
    """

    mean: float
    low: float
    high: float
    wins: float


@dataclass(frozen=True)
class Row:
    """What the metrics say of a method at a layer.

    Attributes
    ----------
    method, layer : str
    seconds : float
        What a map takes, in seconds.
    rank : float
        The mean of its ranks.
    estimates : dict of Estimate
        By the names of the metrics.
    """

    method: str
    layer: str
    seconds: float
    rank: float
    estimates: dict[str, Estimate]


class Evaluation:
    """What metrics say of methods and layers, the best mean rank first.

    Printed, it is a table; a notebook shows one.

    Attributes
    ----------
    rows : list of Row
    metrics : dict of bool
        Whether higher is better, by the names of the metrics.
    per_sample : dict
        The values ``(N,)`` by ``(method, layer)`` and the name of the metric.
    confidence : float
        What the intervals are meant to hold.
    """

    def __init__(
        self,
        per_sample: dict[tuple[str, str], dict[str, np.ndarray]],
        metrics: dict[str, bool],
        seconds: dict[tuple[str, str], float],
        confidence: float = 0.95,
        resamples: int = 2000,
        seed: int = 0,
    ) -> None:
        require_interval(confidence, resamples)
        self.per_sample, self.metrics, self.confidence = per_sample, metrics, confidence
        self._resamples, self._seed = resamples, seed
        intervals = {
            name: [interval(values[name], confidence, resamples, seed) for values in per_sample.values()]
            for name in metrics
        }
        ranks = {name: _ranks([one[0] for one in intervals[name]], metrics[name]) for name in metrics}
        rows = []
        for number, (key, values) in enumerate(per_sample.items()):
            estimates = {
                name: Estimate(
                    *intervals[name][number], int((~np.isnan(values[name])).sum()), float(ranks[name][number])
                )
                for name in metrics
            }
            rank = float(np.mean([one.rank for one in estimates.values()]))
            rows.append(Row(*key, seconds.get(key, float("nan")), rank, estimates))
        self.rows = sorted(rows, key=lambda row: row.rank)

    def difference(self, metric: str, one: tuple[str, str], other: tuple[str, str]) -> Difference:
        """Return how two methods differ on the same images, which says more than two intervals that overlap.

        Parameters
        ----------
        metric : str
        one, other : (method, layer)
            As in `per_sample`.
        """
        for key in (one, other):
            if key not in self.per_sample:
                raise ValueError(f"{key!r} was not evaluated; what was, is {', '.join(map(repr, self.per_sample))}.")
        if metric not in self.metrics:
            raise ValueError(f"{metric!r} was not measured; what was, is {', '.join(self.metrics)}.")
        more = self.per_sample[one][metric] - self.per_sample[other][metric]
        told = more[~np.isnan(more)] * (1 if self.metrics[metric] else -1)
        wins = float(np.mean((told > 0) + (told == 0) / 2)) if told.size else float("nan")
        return Difference(*interval(more, self.confidence, self._resamples, self._seed), wins)

    @property
    def table(self) -> Any:
        """The rows as a pandas.DataFrame, or, where there is no pandas, as a list of dicts."""
        try:
            import pandas
        except ImportError:
            return self.records()
        return pandas.DataFrame(self.records())

    def records(self) -> list[dict[str, Any]]:
        """Return the rows as flat dicts: of each metric its mean, ``low``, ``high``, ``images`` and ``rank``."""
        records = []
        for row in self.rows:
            record: dict[str, Any] = {"method": row.method, "layer": row.layer, "rank": row.rank}
            for name, estimate in row.estimates.items():
                record[name] = estimate.mean
                for field in ("low", "high", "images", "rank"):
                    record[f"{name} {field}"] = getattr(estimate, field)
            records.append(record | {"seconds": row.seconds})
        return records

    def to_csv(self, path: str | Path | None = None) -> str:
        """Return the rows as CSV, and write them to a file where one is named."""
        text = io.StringIO()
        writer = csv.DictWriter(text, list(self.records()[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.records())
        return _written(text.getvalue(), path)

    def to_json(self, path: str | Path | None = None) -> str:
        """Return the rows, and which values are better, as JSON; write them to a file where one is named."""
        rows = [
            {key: None if isinstance(value, float) and np.isnan(value) else value for key, value in record.items()}
            for record in self.records()
        ]
        content = {"higher_is_better": self.metrics, "confidence": self.confidence, "rows": rows}
        return _written(json.dumps(content, indent=1) + "\n", path)

    def to_markdown(self) -> str:
        """Return the table as Markdown."""
        head, *lines = self._cells()
        return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *lines))

    def plot(self) -> Any:
        """Return a figure: a panel for each metric, with the mean and the interval of each method and layer."""
        from tfcam.plotting import intervals_figure

        names = [f"{row.method}  {row.layer}" for row in self.rows]
        panels = {
            f"{name} {_arrow(better)}": [row.estimates[name] for row in self.rows]
            for name, better in self.metrics.items()
        }
        return intervals_figure(names, panels)

    def _cells(self) -> list[list[str]]:
        """Return the table as texts, its head first."""
        lines = [["method", "layer", *(f"{n} {_arrow(better)}" for n, better in self.metrics.items()), "rank", "ms"]]
        for row in self.rows:
            told = [
                f"{one.mean:.3g} ({one.low:.3g} to {one.high:.3g})" if one.images else "-"
                for one in row.estimates.values()
            ]
            lines.append([row.method, row.layer, *told, f"{row.rank:.1f}", f"{1000 * row.seconds:.3g}"])
        return lines

    def __str__(self) -> str:
        lines = self._cells()
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head, *lines = self._cells()
        rows = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in line)}</tr>" for line in lines)
        return f"<table><thead><tr>{''.join(f'<th>{cell}</th>' for cell in head)}</tr></thead>{rows}</table>"


def require_interval(confidence: float, resamples: int) -> None:
    """Refuse what gives no interval."""
    if not 0 < confidence < 1 or resamples < 1:
        raise ValueError(
            f"confidence must lie between 0 and 1 and resamples be at least 1, got {confidence} and {resamples}."
        )


def interval(values: np.ndarray, confidence: float, resamples: int, seed: int) -> tuple[float, float, float]:
    """Return the mean of values that are numbers, and the ends of its bootstrap percentile interval.

    The images drawn are the same for every method: where none is left out, differences are those of the methods.
    """
    values = values[~np.isnan(values)]
    if not values.size:
        return float("nan"), float("nan"), float("nan")
    drawn = np.random.default_rng(seed).integers(len(values), size=(resamples, len(values)))
    low, high = np.quantile(values[drawn].mean(axis=1), [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(values.mean()), float(low), float(high)


def _ranks(means: Sequence[float], higher_is_better: bool) -> np.ndarray:
    """Return the ranks of means, those that are no numbers last."""
    signed = np.array(means) * (-1 if higher_is_better else 1)
    return rankdata(np.where(np.isnan(signed), np.inf, signed))


def _arrow(higher_is_better: bool) -> str:
    return "↑" if higher_is_better else "↓"


def _written(text: str, path: str | Path | None) -> str:
    if path is not None:
        Path(path).write_text(text, encoding="utf-8")
    return text
