"""The public names: complete for ``import *``, typed for editors, and free until they are used."""

import configparser
import re
import subprocess
import sys
from fnmatch import fnmatch
from importlib import import_module

import pytest
from documents import ROOT

import tfcam

TYPED = """
from tfcam import METHODS, GradCAM, XGradCAM, list_layers, list_methods

explainer = GradCAM(None, batch_size=4)
reveal_type(explainer.explain)
reveal_type(XGradCAM.name)
reveal_type(METHODS["grad-cam"])
reveal_type(list_methods())
GradCAM(None, batch_siz=4)
from tfcam import GradCam
"""


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_every_public_name_is_what_its_home_has():
    assert {"GradCAM", "XGradCAM", "METHODS", "Operator", "list_layers", "list_methods"} <= set(tfcam.__all__)
    for name in tfcam.__all__:
        assert getattr(tfcam, name) is not None
    assert set(tfcam.__all__) == set(dir(tfcam))


def test_importing_everything_gives_every_method():
    code = "from tfcam import *; print(GradCAM.name, all(kind.__name__ in globals() for kind in METHODS.values()))"
    assert run(code) == "grad-cam True\n"


def test_importing_the_package_does_not_wait_for_tensorflow():
    code = "import sys, tfcam.cli.app; from tfcam.methods import method_names; "
    assert run(code + "print('grad-cam' in method_names(), 'tensorflow' in sys.modules)") == "True False\n"


def test_the_methods_can_be_listed():
    infos = tfcam.list_methods()
    assert [info.name for info in infos] == sorted(tfcam.METHODS)
    for info in infos:
        assert getattr(tfcam, info.explainer) is tfcam.METHODS[info.name]
        assert info.question.endswith("?") and info.paper and info.cost and info.family


def test_a_type_checker_knows_the_methods_and_their_arguments(tmp_path):
    pytest.importorskip("mypy")
    file = tmp_path / "users.py"
    file.write_text(TYPED, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--ignore-missing-imports", "--follow-imports=silent", str(file)]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout.replace("builtins.", "")
    for line in (
        "def (inputs: Any, targets: Any =, *, resize: bool | str =, normalize: bool =, align: ",
        'Revealed type is "str"',
        'Revealed type is "type[tfcam.methods.base.explainer.Explainer]"',
        'Revealed type is "list[tfcam.methods.MethodInfo]"',
        'Unexpected keyword argument "batch_siz"',
        'has no attribute "GradCam"',
    ):
        assert line in said, said


@pytest.mark.parametrize(
    "use",
    ["tfcam.GradCAM", "from tfcam import GradCAM", "tfcam.get_method('Grad-CAM')", "from tfcam.methods import GradCAM"],
)
def test_naming_one_method_imports_no_other(use):
    imported = "[name for name in names if 'tfcam.methods.' + name.replace('-', '_') in sys.modules]"
    code = f"import sys, tfcam; {use}; names = tfcam.methods.method_names(); print({imported})"
    assert run(code) == "['grad-cam']\n"


@pytest.mark.parametrize("classes", [tfcam.METHODS, tfcam.METRICS], ids=["methods", "metrics"])
def test_a_class_stands_in_the_file_that_its_name_is_looked_for_in(classes):
    for cls in classes.values():
        assert cls.__module__.rpartition(".")[2].replace("_", "") == cls.__name__.lower()


def test_what_is_no_python_is_in_the_wheel():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    for path in (ROOT / "tfcam").rglob("*"):
        if path.is_file() and path.suffix not in (".py", ".pyc"):
            patterns = setup["options.package_data"][".".join(path.parent.relative_to(ROOT).parts)].split(", ")
            assert any(fnmatch(path.name, pattern) for pattern in patterns), path


@pytest.mark.parametrize(
    ("page", "package", "base"),
    [
        ("add_a_method.md", "tfcam.methods.base", "Explainer"),
        ("add_a_metric.md", "tfcam.metrics.base", "Perturbation"),
    ],
)
def test_what_a_how_to_page_names_is_in_the_face_that_it_names(page, package, base):
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert f"`{package}`" in text
    named = set(re.findall(r"`([A-Z][a-z]+[A-Za-z]*)`", text))
    assert base in named and named <= set(import_module(package).__all__)


@pytest.mark.parametrize("use", ["demo.load_model", "methods.GradCAM", "metrics.Deletion", "operators.Operator"])
def test_a_package_that_is_public_needs_no_import_of_its_own(use):
    assert run(f"import tfcam; print(callable(tfcam.{use}))") == "True\n"


@pytest.mark.parametrize(("find", "close"), [("get_method('xgrad-can')", "xgrad-cam"), ("get_metric('roadd')", "road")])
def test_a_wrong_name_is_compared_with_every_name_before_any_is_imported(find, close):
    code = f"import tfcam\ntry: tfcam.{find}\nexcept ValueError as error: print(error)"
    assert f"Did you mean '{close}'" in run(code)
