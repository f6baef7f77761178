"""The house: imports go one way, files are short, one file knows Keras' secrets."""

import ast
import graphlib
import re
from pathlib import Path

import pytest

import tfcam

PACKAGE = Path(tfcam.__file__).parent
FILES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
#: Each file or folder imports only from those above it, in the list that the page for contributors gives.
HOUSE = (PACKAGE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("# How it hangs together")[2]
ORDER = re.findall(r"`([a-z_]+)(?:\.py|/)`", HOUSE)


def tree(module):
    return ast.parse(FILES[module].read_text(encoding="utf-8"))


def imported(module):
    """Return the modules of the package that a file imports: late ones, types alone and names in strings too."""
    found = set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively, which hides where from"
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= {node.value}
    return (found & set(FILES)) - {"tfcam", module}


def place(module):
    return ORDER.index(module.split(".")[1])


@pytest.mark.parametrize("module", FILES)
def test_a_file_imports_only_from_those_above_it(module):
    own = module.split(".")[1:2]
    if own and own != ["_version"]:
        below = {other for other in imported(module) if other != "tfcam._version" and place(other) > place(module)}
        assert not below


def test_no_file_imports_one_that_imports_it():
    list(graphlib.TopologicalSorter({module: imported(module) for module in FILES}).static_order())


def test_every_file_has_its_place_in_the_list():
    tops = {module.split(".")[1] for module in FILES if "." in module} - {"_version"}
    assert tops == set(ORDER) and len(ORDER) == len(tops)


@pytest.mark.parametrize("path", [*FILES.values(), *sorted(Path(__file__).parent.glob("*.py"))], ids=lambda p: p.name)
def test_a_file_can_be_read_in_one_sitting(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


@pytest.mark.parametrize("module", FILES)
def test_what_keras_keeps_private_is_read_in_one_file(module):
    if module == "tfcam.backend.keras_compat":
        return
    for node in ast.walk(tree(module)):
        if isinstance(node, (ast.Import, ast.ImportFrom)) and module.split(".")[1:2] not in (["demo"], ["cli"]):
            packages = [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            assert not any(name.split(".")[0] in ("keras", "tf_keras") for name in packages), ast.unparse(node)
        if isinstance(node, ast.Attribute) and re.match("_[^_]", node.attr):
            assert isinstance(node.value, ast.Name) and node.value.id in ("self", "cls", "other"), ast.unparse(node)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("getattr", "hasattr", "setattr"):
            name = node.args[1]
            assert not (isinstance(name, ast.Constant) and re.match("_[^_]", name.value)), ast.unparse(node)


def test_the_picture_of_the_architecture_has_every_file_once():
    import house

    picture = house.picture()
    shown = [name.removesuffix(".py").rstrip("/") for name in re.findall(r">([a-z_]+(?:\.py|/))</code>", picture)]
    assert sorted(shown) == sorted(ORDER)
