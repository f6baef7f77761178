"""The command ``tfcam verify``: XGrad-CAM's equation on an image, at one layer or at all layers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from rich.markup import escape
from rich.table import Column, Table

from tfcam.cli.options import (
    ClassesOption,
    LayerOption,
    ModelOption,
    PreprocessOption,
    TargetOption,
    UnsafeOption,
    WeightsOption,
    console,
    layer_of,
    typer,
)
from tfcam.cli.quiet import import_tensorflow

if TYPE_CHECKING:
    from tfcam.evaluation import ConservationTerms

_TERMS = ("gradient times feature", "bias term", "around the layer", "difference")


def verify(
    image: Annotated[Path, typer.Argument(help="An image file.")],
    model: ModelOption = None,
    target: TargetOption = None,
    layer: LayerOption = None,
    all_layers: Annotated[bool, typer.Option("--all-layers", help="At every layer, in a table.")] = False,
    preprocess: PreprocessOption = None,
    classes: ClassesOption = None,
    weights: WeightsOption = None,
    unsafe: UnsafeOption = False,
) -> None:
    """Verify the equation that XGrad-CAM is derived from: a score is gradient times feature, and biases behind it."""
    if all_layers and layer is not None:
        raise ValueError("--layer and --all-layers exclude each other: give one of them.")
    import_tensorflow()
    from tfcam.cli.image_files import read_image
    from tfcam.cli.models import load_model
    from tfcam.evaluation import verify_conservation
    from tfcam.layers import list_layers

    loaded = load_model(model, preprocess, classes, weights, unsafe)
    label = loaded.target_of(target)
    photograph = read_image(image, loaded.image_shape)
    batch = loaded.batch_of([photograph])
    layers = [info.path for info in list_layers(loaded.model)] if all_layers else layer_of(layer)
    found = verify_conservation(loaded.model, batch, label, layers)
    each = found if isinstance(found, list) else [found]
    first = each[0]
    of = f", {loaded.name_of(int(first.classes[0]))}" if first.classes is not None else ""
    title = f"{photograph.titled(image.name)}{of}, by {loaded.model.name}"
    console.print(escape(title), highlight=False, soft_wrap=True)
    if all_layers:
        console.print(f"score {first.scores[0]:.6f}", highlight=False)
        console.print(_table(each))
    else:
        console.print(f"at {escape(first.layer)}", highlight=False, soft_wrap=True)
        width = max(map(len, _TERMS))
        for name, value in zip(("score", *_TERMS), (first.scores[0], *_terms(first)), strict=True):
            console.print(f"{name:{width}} {value:12.6f}", highlight=False)
    worst = max(each, key=lambda one: one.relative_residuals[0])
    console.print(_said(worst, all_layers), highlight=False, soft_wrap=True)


def _terms(one: ConservationTerms) -> tuple[float, ...]:
    return one.features[0], one.bias[0], one.bypass[0], one.residuals[0]


def _table(each: list[ConservationTerms]) -> Table:
    table = Table(Column("layer", overflow="fold"), *(Column(name, justify="right") for name in _TERMS))
    for one in each:
        *terms, difference = _terms(one)
        table.add_row(escape(one.layer), *(f"{value:.4f}" for value in terms), f"{difference:.0e}")
    return table


def _said(worst: ConservationTerms, of_several: bool) -> str:
    """Return how far the equation holds, and why no farther."""
    share = worst.relative_residuals[0]
    where = f", at {escape(worst.layer)}" if of_several else ""
    text = f"The {'largest ' if of_several else ''}difference is {share:.1e} of the largest term{where}."
    why = [name if np.isnan(value[0]) else f"{name}: {value[0]:.6f}" for name, value in worst.reasons.items()]
    return f"{text} It is made of what is not linear there: {'; '.join(why)}." if why else text
