"""Writing what a script measured into a page of the documentation."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

END = "<!-- end -->"


def publish(table: Iterable[str], page: str, script: str, write: bool) -> None:
    """Print the lines of a table as they are measured, and write them into a page of docs/ where asked."""
    lines = []
    for line in table:
        lines.append(line)
        print(line, flush=True)
    if write:
        _write(page, script, lines)


def _write(page: str, script: str, lines: list[str]) -> None:
    """Put lines between the marks ``<!-- script -->`` and ``<!-- end -->`` of a page."""
    path = Path(__file__).parents[1] / "docs" / page
    text, start = path.read_text(encoding="utf-8"), f"<!-- {script} -->\n"
    if start not in text or END not in text.partition(start)[2]:
        raise ValueError(f"{path} has no place for a table: it needs the lines {start.strip()} and {END}.")
    before, _, rest = text.partition(start)
    path.write_text(before + start + "\n".join(lines) + "\n" + END + rest.partition(END)[2], encoding="utf-8")
