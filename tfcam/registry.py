"""Classes by their names, in folders of one class a file; the options that a class refuses."""

from __future__ import annotations

import difflib
import functools
import inspect
import pkgutil
from collections.abc import Container, Iterable
from dataclasses import dataclass
from importlib import import_module
from itertools import chain, count
from typing import Any, TypeVar

C = TypeVar("C", bound=type)


@dataclass(frozen=True)
class Folder:
    """A package of one class a file, each of which enters a registry when its file is imported.

    Attributes
    ----------
    package : str
        ``"tfcam.methods"``; what its classes share is in its ``base``.
    registry : str
        What ``base`` calls the dict of the classes by their names.
    kind : str
        What a class is, for errors.
    """

    package: str
    registry: str
    kind: str

    def names(self) -> list[str]:
        """Return the names of the classes of the folder, without importing them."""
        files = pkgutil.iter_modules(import_module(self.package).__path__)
        return sorted(file.name.replace("_", "-") for file in files if not file.ispkg)

    def imported(self) -> dict[str, Any]:
        """Return the classes imported so far, and those that a user has defined."""
        return getattr(import_module(f"{self.package}.base"), self.registry)

    def every(self) -> dict[str, Any]:
        """Return all classes, those of the folder and those that a user has defined."""
        for name in self.names():
            self._import(name)
        return self.imported()

    def class_named(self, name: str) -> Any:
        """Return the class of this name, importing no other file than its own; None where there is none."""
        self._import_alike(name)
        return next((cls for cls in self.imported().values() if cls.__name__ == name), None)

    def attribute(self, name: str) -> Any:
        """Return an attribute of the package: a class, or ``__all__``, the names of all classes."""
        if name == "__all__":
            return sorted(cls.__name__ for cls in self.every().values())
        if not name.startswith("_") and (cls := self.class_named(name)):
            return cls
        raise AttributeError(f"module {self.package!r} has no attribute {name!r}")

    def find(self, name: Any) -> Any:
        """Return a class by its name, as the registry, its paper or the class itself has it.

        Raises
        ------
        ValueError
            Where there is none; it shows which come close.
        """
        self._import_alike(str(name))
        known = _by_spelling(self.imported())
        if isinstance(name, str) and _letters(name) in known:
            return known[_letters(name)]
        registered = self.every()
        known = _by_spelling(registered)
        close = difflib.get_close_matches(_letters(str(name)), known, n=5)
        names = list(dict.fromkeys(known[one].name for one in close))[:3]
        question = f" Did you mean {' or '.join(map(repr, names))}?" if names else ""
        raise ValueError(f"{name!r} is no {self.kind}.{question} The {self.kind}s are {', '.join(sorted(registered))}.")

    def _import_alike(self, name: str) -> None:
        """Import the file that a name stands for, if there is one."""
        for key in self.names():
            if _letters(key) == _letters(name):
                self._import(key)

    def _import(self, name: str) -> None:
        import_module(f"{self.package}.{name.replace('-', '_')}")


def _by_spelling(registered: dict[str, Any]) -> dict[str, Any]:
    return {_letters(spelling): cls for key, cls in registered.items() for spelling in (key, cls.__name__)}


def unused(name: str, taken: Container[str]) -> str:
    """Return a name, with the first number from 2 on where it is taken."""
    numbered = (f"{name} {number}" for number in count(2))
    return next(one for one in chain([name], numbered) if one not in taken)


def _letters(name: str) -> str:
    """Return what is left of a name when only its letters are read."""
    return "".join(letter for letter in name.lower().replace("+", "plus") if letter.isalnum())


#: What other libraries call an option, and what is written instead.
_ELSEWHERE = {
    **dict.fromkeys(
        ("layer", "layers", "layer_name", "target_layer", "target_layers", "conv_layers", "penultimate_layer"),
        ("conv_layer", "conv_layer='name' or a list of names"),
    ),
    **dict.fromkeys(("nb_samples", "n_samples", "num_samples", "nb_copies"), ("samples", "samples=")),
    **dict.fromkeys(("max_nb_units", "max_N", "n_channels"), ("channels", "channels=")),
    "steps": ("percent", "percent=, the share of the pixels that each step takes; percent=10 makes ten steps"),
    "baseline_mode": ("baseline", "baseline="),
    "background": ("baseline", "baseline="),
    "score": ("operator", "operator="),
    "aug_smooth": ("smooth", "smooth='augment'"),
    "eigen_smooth": ("smooth", "smooth='eigen'"),
    "output_index": ("output_layer", "output_layer="),
    **dict.fromkeys(
        ("class_idx", "class_index", "category", "label", "labels"),
        ("operator", "explain(images, labels), which says what is explained"),
    ),
}


def refuse_unknown_options(cls: C) -> C:
    """Let the constructor of a class, where it has its own, refuse options that it does not take, and name ours.

    Python's own message names none; and an argument for any option, `**others`, would hide mistakes from type checkers.
    """
    construct = vars(cls).get("__init__")
    if construct is None:
        return cls

    @functools.wraps(construct)
    def __init__(self: Any, *arguments: Any, **options: Any) -> None:
        _require_known(type(self), options)
        construct(self, *arguments, **options)

    cls.__init__ = __init__  # type: ignore[misc]
    return cls


def _require_known(cls: type, given: Iterable[str]) -> None:
    known = _options_of(cls)
    for name in given:
        if name in known:
            continue
        ours, written = _ELSEWHERE.get(name, ("", ""))
        close = difflib.get_close_matches(name, known, n=2)
        if ours in known:
            hint = f"Write {written}."
        elif close:
            hint = f"Did you mean {' or '.join(f'{one}=' for one in close)}?"
        else:
            hint = f"Its options are {', '.join(known)}."
        raise TypeError(f"{cls.__name__} takes no {name}=. {hint}")


def _options_of(cls: type) -> list[str]:
    """Return the names of the arguments of a class, those of its bases included."""
    found: dict[str, None] = {}
    for base in cls.__mro__:
        if "__init__" in vars(base) and base is not object:
            for name, parameter in inspect.signature(vars(base)["__init__"]).parameters.items():
                if name != "self" and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                    found[name] = None
    return list(found)
