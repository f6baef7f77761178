"""Many methods on the same images, from one run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from tfcam.data.batching import gathered
from tfcam.data.validation import require_end
from tfcam.engine import Explanation, Explanations, MapOptions, ModelSession, Report, Run
from tfcam.layers import Align, LayerCall, Trace
from tfcam.methods import get_method, registry
from tfcam.methods.base import Explainer
from tfcam.operators import OperatorLike, find_operator
from tfcam.registry import unused


def compare(
    model: Any,
    inputs: Any,
    targets: Any = None,
    methods: Iterable[str | type[Explainer] | Explainer] | None = None,
    *,
    output_layer: Any = None,
    batch_size: int | None = 32,
    operator: OperatorLike = None,
    conv_layer: Any = None,
    tokens: tuple[int, Sequence[int]] | None = None,
    resize: bool | str = True,
    normalize: bool = False,
    align: Align = None,
    progress: bool | Report = False,
) -> dict[str, tf.Tensor]:
    """Return the maps of many methods, from one forward and one backward pass where they need no more.

    Parameters
    ----------
    model, output_layer, batch_size, operator, conv_layer, tokens : as for `Explainer`
    inputs, targets, resize, normalize, align, progress : as for `Explainer.explain`
    methods : iterable of str, Explainer classes, and explainers of this model, or None
        Names as `tfcam.get_method` takes them. An explainer brings its own options, such as ``smooth=`` or
        ``conv_layer=``. None: every method of the registry that needs one pass forward, or one forward and one
        backward, and is defined for every head and for the operator.

    Returns
    -------
    dict of tf.Tensor
        For each method, by its name, what it gives alone; `tfcam.plot` draws it. A second explainer of the same method
        is named with a number: ``"grad-cam 2"``.

    Raises
    ------
    ValueError
        Where a name is no method, or an explainer has another model, output or operator.
    """
    require_end(inputs)
    if methods is None:
        methods = methods_of_one_pass(operator)
    methods = [methods] if isinstance(methods, (str, type)) else list(methods)
    operator = needed_operator(methods) if operator is None else operator
    same = {
        "output_layer": output_layer,
        "batch_size": batch_size,
        "operator": operator,
        "conv_layer": conv_layer,
        "tokens": tokens,
    }
    each = [method if isinstance(method, Explainer) else class_of(method)(model, **same) for method in methods]
    comparison = Comparison(_named(each), model, **same)
    options = MapOptions.read(resize, normalize, align)
    batches = [one.maps for one in comparison.explanations(inputs, targets, options, progress)]
    return {name: gathered(batch[name] for batch in batches) for name in comparison.explainers}


class Comparison:
    """Explainers of one model that share its run; the other arguments are those of a `ModelSession`."""

    def __init__(self, explainers: dict[str, Explainer], model: Any, **arguments: Any) -> None:
        self.explainers = explainers
        self._layers: dict[str, tuple[int, ...]] = {}
        self.session = ModelSession(model, **arguments, find_layers=self._find_layers)
        for name, explainer in explainers.items():
            if explainer.model is not model:
                raise ValueError(f"The explainer {name!r} is of model {explainer.model.name!r}, not {model.name!r}.")
            if not self.session.explains_as(explainer.session):
                raise ValueError(
                    f"The explainer {name!r} explains another score than is compared: give compare() its operator= and "
                    "output_layer=, or leave them off both."
                )

    @property
    def explains_scores(self) -> bool:
        """Whether any of the maps is of a score."""
        return any(explainer.explains_scores for explainer in self.explainers.values())

    def _find_layers(self, traced: Trace, output: LayerCall | None) -> list[LayerCall]:
        """Return the calls of the layers that any explainer needs, and note which are whose."""
        found: list[LayerCall] = []
        for name, explainer in self.explainers.items():
            calls = explainer.session.find_layers(traced, output)
            found.extend(call for call in calls if call not in found)
            self._layers[name] = tuple(found.index(call) for call in calls)
        return found

    def explanations(
        self, inputs: Any, targets: Any, options: MapOptions, progress: bool | Report = False
    ) -> Iterator[Explanation]:
        """Yield the `Explanation` of each batch, its maps by the explainers' names."""
        return Explanations(self.session, self, options).each(inputs, targets, progress)

    def heatmaps(self, run: Run, options: MapOptions) -> dict[str, tf.Tensor]:
        """Return the heatmaps of each explainer."""
        return {name: one.heatmaps(self._run_of(name, run), options) for name, one in self.explainers.items()}

    def _run_of(self, name: str, run: Run) -> Run:
        """Return a run as one of the explainers has it."""
        return run.at(self._layers[name], self.explainers[name].session.takes_levels)

    def findings(self, run: Run) -> dict[str, tf.Tensor]:
        """Return what the explainers find, each finding once."""
        finders: dict[str, list[str]] = {}
        found: dict[str, tf.Tensor] = {}
        for name, explainer in self.explainers.items():
            for message, finding in explainer.findings(self._run_of(name, run)).items():
                finders.setdefault(message, []).append(name)
                found[message] = found.get(message, False) | finding
        return {f"{', '.join(finders[message])}: {message}": finding for message, finding in found.items()}


def methods_of_one_pass(operator: OperatorLike) -> list[str]:
    """Return the methods that need one pass forward, or one and one backward, and are defined for every head.

    Those that are of one operator's scores are among them where it is that operator.
    """
    name_of_operator = find_operator(operator).name
    return [
        name
        for name, method in sorted(registry().items())
        if method.cost_class in ("forward", "backward")
        and not method.needs
        and method.needs_operator in ("", name_of_operator)
    ]


def needed_operator(methods: Sequence[Any]) -> str | None:
    """Return the operator that all of these methods need, where that is one; None: no matter which."""
    needed = {"" if isinstance(method, Explainer) else class_of(method).needs_operator for method in methods}
    return needed.pop() or None if len(needed) == 1 else None


def class_of(method: Any) -> type[Explainer]:
    """Return the class that a name or a class means."""
    if isinstance(method, type) and issubclass(method, Explainer):
        return method
    if isinstance(method, str):
        return get_method(method)
    raise TypeError(f"methods are names, Explainer classes or explainers, got {type(method).__name__}.")


def _named(explainers: Sequence[Explainer]) -> dict[str, Explainer]:
    """Return explainers by name, the second of a name with a number."""
    if not explainers:
        raise ValueError("methods=[] compares nothing; tfcam.list_methods() tells the names there are.")
    named: dict[str, Explainer] = {}
    for explainer in explainers:
        named[unused(getattr(explainer, "name", type(explainer).__name__), named)] = explainer
    return named
