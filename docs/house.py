"""The architecture in one picture and one table: the rooms of the package, and the files in each.

The floors are in CONTRIBUTING.md; what a file holds is the first line of its docstring.
"""

from __future__ import annotations

import ast
import html
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "tfcam"


@dataclass(frozen=True)
class Room:
    """A folder of the package, or a file beside the folders.

    Attributes
    ----------
    name : str
        ``"engine"``, ``"registry"``.
    floor : int
        A room imports only from rooms on lower floors.
    purpose : str
        What it holds.
    """

    name: str
    floor: int
    purpose: str

    @property
    def files(self) -> list[Path]:
        """Its files, in the order of their names, those of its ``base/`` first."""
        folder = PACKAGE / self.name
        if not folder.is_dir():
            return [folder.with_suffix(".py")]
        every = [path for path in folder.rglob("*.py") if not path.name.startswith("_")]
        return sorted(every, key=lambda path: (path.parent == folder, path))


def rooms() -> list[Room]:
    """Return the rooms as CONTRIBUTING.md lists them, the highest floor first."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("# The rooms")[2]
    rows = re.findall(r"^\| (\d) \| `([a-z_]+)(?:/|\.py)` \| (.*?) \|$", text, re.MULTILINE)
    return [Room(name, int(floor), purpose) for floor, name, purpose in rows]


def picture() -> str:
    """Return the floors as HTML, which fits any width."""
    floors: dict[int, list[str]] = {}
    for room in rooms():
        chips = " ".join(f'<code title="{_plain(summary(path))}">{_label(path)}</code>' for path in room.files)
        text = f"<p><strong>{room.name}:</strong> {_plain(room.purpose)}</p><p>{chips}</p>"
        floors.setdefault(room.floor, []).append(f"<div>{text}</div>")
    bands = [f'<div class="beside">{"".join(floors[floor])}</div>' for floor in sorted(floors, reverse=True)]
    return '<div class="bands">\n' + "\n".join(bands) + "\n</div>"


def table() -> str:
    """Return what each file holds, room by room; the formulas, which are named as their files are, in one row."""
    parts = []
    for room in rooms():
        formulas = [path for path in room.files if path.parent.name in ("methods", "metrics")]
        rows = [f"| `{_label(path)}` | {summary(path)} |" for path in room.files if path not in formulas]
        if formulas:
            rows.append(f"| {', '.join(f'`{path.stem}`' for path in formulas)} | one formula each |")
        parts.append("\n".join([f"### {room.name}", "", "| file | what it holds |", "| --- | --- |", *rows]))
    return "\n\n".join(parts)


def summary(path: Path) -> str:
    """Return the first sentence of a file's docstring."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0].rstrip(".")


def _plain(text: str) -> str:
    """Return text for HTML, without the marks of code."""
    return html.escape(text.replace("`", ""))


def _label(path: Path) -> str:
    return "base/" * (path.parent.name == "base") + path.stem
