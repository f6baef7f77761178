"""The list of the notebooks: their questions, and where they open."""

from __future__ import annotations

import configparser
import json
from pathlib import Path

ROOT = Path(__file__).parents[1]


def repository() -> str:
    """Return the address of the repository, which only setup.cfg says."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    return setup["metadata"]["url"]


def in_colab(notebook: Path) -> str:
    """Return the address at which Colab opens a notebook of the repository."""
    place = repository().partition("github.com/")[2]
    return f"https://colab.research.google.com/github/{place}/blob/main/notebooks/{notebook.name}"


def listed() -> str:
    """Return each notebook's title and question, with a button that opens it."""
    parts = []
    for number, notebook in enumerate(sorted((ROOT / "notebooks").glob("*.ipynb")), start=1):
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        title, _, story = next(text for cell in cells if (text := "".join(cell["source"])).startswith("# ")).partition(
            "\n"
        )
        question = story.strip().partition("\n\n")[0]
        file = f"{repository()}/blob/main/notebooks/{notebook.name}"
        buttons = {"Open in Colab": in_colab(notebook), "Read it": file}
        links = " ".join(f"[{label}]({address}){{ .md-button }}" for label, address in buttons.items())
        parts.append(f"## {number}. {title.removeprefix('# ')}\n\n{question}\n\n{links}")
    return "\n\n".join(parts)
