"""Docstrings as the site shows them: the formulas of reST become those of Markdown."""

from __future__ import annotations

import inspect
import re
import sys
import textwrap

_BLOCK = re.compile(r"^\.\. math::(?P<formula>.*?)(?=\n\n\S|\n\S|\Z)", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r":math:`([^`]+)`")


def with_markdown_formulas(docstring: str) -> str:
    """Return a docstring whose formulas stand between dollars."""

    def block(match: re.Match) -> str:
        return f"$$\n{textwrap.dedent(match['formula']).strip()}\n$$"

    return _INLINE.sub(r"$\1$", _BLOCK.sub(block, docstring))


def sections_of(cls: type) -> dict[str, str]:
    """Return the sections of a docstring by their headings; "" is what stands before the first but the summary."""
    text = with_markdown_formulas(inspect.cleandoc(cls.__doc__ or ""))
    parts = re.split(r"^(\w[\w ]*)\n-{3,}\n", text, flags=re.MULTILINE)
    body = re.sub(r"\s*Cost: .*?(\.(\s|$)|\Z)", "\n\n", parts[0].partition("\n")[2], flags=re.DOTALL)
    sections = {name: text.strip() for name, text in zip(parts[1::2], parts[2::2], strict=True)}
    if "Parameters" in sections:
        # As a list; what is said of each stands indented, also there.
        sections["Parameters"] = re.sub(
            r"^(\w+) : (.+)$", r"\n- `\1`: \2\n", sections["Parameters"], flags=re.MULTILINE
        )
    return {"": body.strip()} | sections


def title(cls: type) -> str:
    """Return the name of a method or metric as its paper spells it, which is what its file says first."""
    return (sys.modules[cls.__module__].__doc__ or cls.__name__).splitlines()[0].strip(". ")
