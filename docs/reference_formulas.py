"""What mkdocstrings reads of the package: docstrings with the formulas of Markdown."""

from __future__ import annotations

from typing import Any

import griffe
from docstrings import with_markdown_formulas


class Formulas(griffe.Extension):
    """mkdocstrings' reader of docstrings, with formulas."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of one object."""
        if obj.docstring is not None:
            obj.docstring.value = with_markdown_formulas(obj.docstring.value)
