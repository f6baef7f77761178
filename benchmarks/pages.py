"""Writing what a script measured into a page of the documentation."""

from __future__ import annotations

from pathlib import Path

END = "<!-- end -->"


def write_table(page: str, script: str, lines: list[str]) -> None:
    """Put lines between the marks ``<!-- script -->`` and ``<!-- end -->`` of a page in docs/."""
    path = Path(__file__).parents[1] / "docs" / page
    before, _, rest = path.read_text(encoding="utf-8").partition(f"<!-- {script} -->\n")
    after = rest.partition(END)[2]
    path.write_text(f"{before}<!-- {script} -->\n" + "\n".join(lines) + f"\n{END}{after}", encoding="utf-8")
