"""What MkDocs builds besides the files of this folder: pages from the registry, formulas, the repository's address.

``make docs`` builds the site, which needs no network, neither to be built nor to be read.
"""

from __future__ import annotations

import html
import re
from typing import Any

import method_pages
import metric_pages
import tutorials
from latex2mathml.converter import convert
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

_FORMULA = re.compile(r'<(span|div) class="arithmatex">\\(\(|\[)(?P<formula>.*?)\\(\)|\])</\1>', re.DOTALL)


def on_config(config: Any) -> Any:
    """Name the repository, and give each method and metric a place in the navigation."""
    config.repo_url = tutorials.repository()
    config.repo_name = config.repo_url.partition("://")[2].partition("/")[2]
    [metrics] = [entry for entry in config.nav if "Metrics" in entry]
    metrics["Metrics"] = [
        {"Overview": "metrics/index.md"},
        *(
            {family.capitalize(): [{metric_pages.title(m): metric_pages.path(m)} for m in members]}
            for family, members in metric_pages.families().items()
        ),
    ]
    [methods] = [entry for entry in config.nav if "Methods" in entry]
    methods["Methods"] = [
        {"Overview": "methods/index.md"},
        *({method_pages.title(m): method_pages.path(m)} for m in method_pages.methods()),
    ]
    return config


def on_files(files: Files, *, config: Any) -> Files:
    """Add the pages and pictures that are made from the code."""
    for path, content in method_pages.generated().items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill in what the code says."""
    return method_pages.filled(markdown)


def on_page_content(content: str, *, page: Any, **_: Any) -> str:
    """Turn formulas into MathML, which browsers draw themselves."""

    def mathml(match: re.Match) -> str:
        display = "block" if match[2] == "[" else "inline"
        formula = html.unescape(match["formula"]).strip()
        drawn = convert(formula, display=display)
        if "\\" in drawn:
            raise PluginError(f"{page.file.src_path}: latex2mathml does not know all of {formula!r}")
        return drawn

    return _FORMULA.sub(mathml, content)
