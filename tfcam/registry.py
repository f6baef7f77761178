"""Folders of one class a file, named as the class is: the names there are, and what a name means."""

from __future__ import annotations

import difflib
import functools
import inspect
import pkgutil
from collections.abc import Container, Iterable
from importlib import import_module
from itertools import chain, count
from typing import Any, TypeVar

C = TypeVar("C", bound=type)


def names_in(path: Iterable[str]) -> list[str]:
    """Return the names of the classes of a package's folder, without importing them."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(path) if not module.ispkg)


def import_all(package: str, path: Iterable[str]) -> None:
    """Import every file of a package's folder, which fills its registry."""
    for name in names_in(path):
        import_module(f"{package}.{name.replace('-', '_')}")


def find_by_name(name: Any, registered: dict[str, Any], kind: str) -> Any:
    """Return a class by its name, as the registry, its paper or the class itself has it.

    Raises
    ------
    ValueError
        Where there is none; it says which come close.
    """
    spelled = {_letters(spelling): cls for key, cls in registered.items() for spelling in (key, cls.__name__)}
    if isinstance(name, str) and _letters(name) in spelled:
        return spelled[_letters(name)]
    close = difflib.get_close_matches(_letters(str(name)), spelled, n=5)
    names = list(dict.fromkeys(spelled[one].name for one in close))[:3]
    question = f" Did you mean {' or '.join(map(repr, names))}?" if names else ""
    raise ValueError(f"{name!r} is no {kind}.{question} The {kind}s are {', '.join(sorted(registered))}.")


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
