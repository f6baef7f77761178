"""One image explained at every depth of a model, in one picture."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from tfcam.cli.image_files import read_image
from tfcam.cli.models import LoadedModel
from tfcam.engine import MapOptions, Report
from tfcam.layers import LayerInfo
from tfcam.operators import Operator
from tfcam.plotting import plot
from tfcam.plotting.figures import grid

_COLUMNS = 6


def chosen_layers(found: list[LayerInfo], most: int) -> list[LayerInfo]:
    """Return a layer of each depth, the default among them: the last of those in a row that have one shape.

    So it is what an activation puts out that is shown, not the convolution before it. Of more than `most`, those are
    left that are evenly spaced.
    """
    last_of_shape = [one for one, following in pairwise(found) if one.shape != following.shape] + found[-1:]
    depths = [info for info in found if info.default or info in last_of_shape]
    evenly = np.linspace(0, len(depths) - 1, min(most, len(depths))).round()
    return [info for index, info in enumerate(depths) if info.default or index in evenly]


def write_depths(
    loaded: LoadedModel,
    explainer_class: Any,
    operator: Operator,
    image: Path,
    label: int | None,
    layers: list[LayerInfo],
    output: Path,
    options: MapOptions,
    report: Report | None = None,
) -> str:
    """Write the picture, and return what it is of: the image, the class and its score.

    `report` is told how many layers are done.

    Raises
    ------
    UnreadableImage
        Where `image` cannot be read.
    """
    photograph = read_image(image, loaded.image_shape)
    batch = loaded.batch_of([photograph])
    maps, title, regions = {}, "", None
    for done, info in enumerate(layers, start=1):
        explainer = explainer_class(loaded.model, conv_layer=info.path, operator=operator)
        [one] = explainer.explanations(batch, label, options)
        maps[f"{info.path}\n{' x '.join(map(str, info.grid))}"] = photograph.fitted(one.maps[0].numpy())[None]
        [(name, score)] = loaded.said_of(operator, one, 0)
        title, regions = f"{photograph.titled(image.name)}: {name} ({score})", one.details.get("regions")
        if report is not None:
            report(done)
    panels = 1 + len(maps)
    figure, axes = grid(photograph.shown, panels, _COLUMNS)
    plot(photograph.shown[None], maps, [title], regions=regions, ax=axes[:panels])
    output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(output, dpi=110)
    return title
