"""The house: imports go down, no circles, short files, one room that knows Keras' secrets."""

import ast
import functools
import graphlib
import re
from pathlib import Path

import house

import tfcam

PACKAGE = Path(tfcam.__file__).parent
FILES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
FLOORS = {room.name: room.floor for room in house.rooms()}


@functools.cache
def tree(module):
    return ast.parse(FILES[module].read_text(encoding="utf-8"))


@functools.cache
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


def room_of(module):
    return module.split(".")[1]


def is_base(module):
    return module.split(".")[2:3] == ["base"] and room_of(module) in ("methods", "metrics")


def test_the_package_itself_holds_rooms_and_little_else():
    files = {path.name for path in PACKAGE.iterdir() if path.is_file()}
    loose = files - {"__init__.py", "__init__.pyi", "_version.py", "registry.py", "py.typed"}
    assert not loose, f"{sorted(loose)}: give each a room"


def test_every_room_has_its_floor_in_contributing_md():
    found = {room_of(module) for module in FILES if "." in module} - {"_version"}
    assert found == set(FLOORS), f"CONTRIBUTING.md's table and the package differ in {sorted(found ^ set(FLOORS))}"


def test_a_room_imports_only_from_lower_floors():
    wrong = [
        f"{module} (floor {FLOORS[room_of(module)]}) imports {other} (floor {FLOORS[room_of(other)]})"
        for module in FILES
        if "." in module
        for other in imported(module)
        if room_of(other) not in (room_of(module), "_version") and FLOORS[room_of(other)] >= FLOORS[room_of(module)]
    ]
    assert not wrong, "move what both need to a lower floor:\n" + "\n".join(wrong)


def test_no_base_imports_a_formula_beside_it():
    wrong = [
        f"{module} imports {other}"
        for module in FILES
        if is_base(module)
        for other in imported(module)
        if room_of(other) == room_of(module) and not is_base(other)
    ]
    assert not wrong, "\n".join(wrong)


def test_no_files_import_each_other_in_a_circle():
    list(graphlib.TopologicalSorter({module: imported(module) for module in FILES}).static_order())


def test_a_face_names_what_files_of_its_own_room_define():
    wrong = [
        f"{module} exports {alias.name} of {node.module}"
        for module, path in FILES.items()
        if path.name == "__init__.py" and "." in module
        for node in tree(module).body
        if isinstance(node, ast.ImportFrom) and node.module != "__future__" and node.module.startswith("tfcam.")
        for alias in node.names
        if room_of(node.module) not in (room_of(module), "registry")
    ]
    assert not wrong, "\n".join(wrong)


def test_a_public_class_has_a_name_that_no_other_has():
    homes = {}
    for module in FILES:
        for node in tree(module).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(module)
    twice = {name: modules for name, modules in homes.items() if len(modules) > 1}
    assert not twice, f"one word, one thing: {twice}"


def test_the_tests_have_the_same_rooms():
    folders = {path.parent for path in Path(__file__).parent.rglob("*.py")} - {Path(__file__).parent}
    strange = {folder.name for folder in folders} - set(FLOORS)
    assert not strange, f"tests/ has {sorted(strange)}, the package has no such room"


def test_a_file_can_be_read_in_one_sitting():
    paths = [*FILES.values(), *sorted(Path(__file__).parent.rglob("*.py"))]
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in paths}
    assert not {str(path): count for path, count in lines.items() if count > 300}


def test_one_file_of_the_library_imports_keras():
    wrong = [
        f"{module}: {ast.unparse(node)}"
        for module in FILES
        if module != "tfcam.backend.keras_compat" and module.split(".")[1:2] not in (["demo"], ["cli"])
        for node in ast.walk(tree(module))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        and {"keras", "tf_keras"} & {name.split(".")[0] for name in imported_names(node)}
    ]
    assert not wrong, "\n".join(wrong)


def test_what_others_keep_private_is_read_in_one_file():
    wrong = [
        f"{module}: {ast.unparse(node)}"
        for module in FILES
        if module != "tfcam.backend.keras_compat"
        for node in ast.walk(tree(module))
        if reads_a_private_attribute(node)
    ]
    assert not wrong, "\n".join(wrong)


def imported_names(node):
    return [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]


def reads_a_private_attribute(node):
    """Return whether code reads an attribute that begins with one underscore of anything but itself."""
    if isinstance(node, ast.Attribute) and re.match("_[^_]", node.attr):
        return not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls", "other"))
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("getattr", "hasattr", "setattr"):
        name = node.args[1]
        return isinstance(name, ast.Constant) and bool(re.match("_[^_]", name.value))
    return False


def test_the_picture_and_the_table_have_every_file():
    shown = [path for room in house.rooms() for path in room.files]
    assert set(shown) == {path for path in FILES.values() if not path.name.startswith("_")}
    assert len(shown) == len(set(shown))
    for text in (house.picture(), house.table()):
        assert all(path.stem in text for path in shown)
