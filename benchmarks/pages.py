"""Writing what a script measured into a page of the documentation."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

END = "<!-- end -->"


def publish(table: Iterable[str], page: str, script: str, write: bool) -> None:
    """Print the lines of a table as they are measured, and write them into a page of docs/ where asked."""
    lines = []
    for line in table:
        lines.append(line)
        print(line, flush=True)
    if write:
        _write(page, script, lines)


def publish_named(
    table: Callable[[list[str]], Iterable[str]], names: Iterable[str], page: str, script: str, description: str
) -> None:
    """Publish a table of the rows whose names the command line has, or of all, and write it with ``--write``."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("names", nargs="*", default=list(names))
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    publish(table(arguments.names), page, script, arguments.write)


def with_interval(values: np.ndarray) -> str:
    """Return the mean of values, and half of its interval of 95 %."""
    return f"{values.mean():.2f} ± {1.96 * values.std(ddof=1) / np.sqrt(len(values)):.2f}"


def _write(page: str, script: str, lines: list[str]) -> None:
    """Put lines between the marks ``<!-- script -->`` and ``<!-- end -->`` of a page."""
    path = Path(__file__).parents[1] / "docs" / page
    text, start = path.read_text(encoding="utf-8"), f"<!-- {script} -->\n"
    if start not in text or END not in text.partition(start)[2]:
        raise ValueError(f"{path} has no place for a table: it needs the lines {start.strip()} and {END}.")
    before, _, rest = text.partition(start)
    path.write_text(before + start + "\n".join(lines) + "\n" + END + rest.partition(END)[2], encoding="utf-8")
