"""Docstrings as the site shows them: the formulas of reST become those of Markdown."""

from __future__ import annotations

import re
import textwrap

_BLOCK = re.compile(r"^\.\. math::(?P<formula>.*?)(?=\n\n\S|\n\S|\Z)", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r":math:`([^`]+)`")


def with_markdown_formulas(docstring: str) -> str:
    """Return a docstring whose formulas stand between dollars."""

    def block(match: re.Match) -> str:
        return f"$$\n{textwrap.dedent(match['formula']).strip()}\n$$"

    return _INLINE.sub(r"$\1$", _BLOCK.sub(block, docstring))
