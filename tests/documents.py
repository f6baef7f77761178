"""The code blocks of README and docs."""

import re
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: These are followed to the letter by test_howto.py, and need the peers: test_peers.py.
ELSEWHERE = {"add_a_method.md", "add_a_metric.md", "add_an_operator.md", "migrating.md"}
PAGES = {
    "README.md": ROOT / "README.md",
    **{
        str(path.relative_to(ROOT / "docs")): path
        for path in sorted((ROOT / "docs").rglob("*.md"))
        if path.name not in ELSEWHERE
    },
}


def blocks(text, language):
    """Return the code of a page's blocks in one language, those within tabs too."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```", text, re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(code) for _, code in found]


def run_python(text, name):
    """Run the Python blocks of a page in their order, as one program; return its names."""
    names = {"__name__": name}
    for number, code in enumerate(blocks(text, "python"), start=1):
        exec(compile(code, f"{name}, block {number}", "exec"), names)
    return names
