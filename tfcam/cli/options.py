"""Options that several commands share, and the console that they write to."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

try:
    import typer as typer
    from rich.console import Console
    from rich.markup import escape
except ImportError as error:  # pragma: no cover
    raise SystemExit(f"The command line needs an extra: pip install 'tfcam[cli]' ({error}).") from error

from tfcam.methods import method_names

if TYPE_CHECKING:
    from tfcam.engine import Report
    from tfcam.methods.base import Explainer
    from tfcam.operators import Operator

console, errors = Console(), Console(stderr=True)

ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="A .keras or .h5 file, a name of keras.applications, or an embedded one: cnn (default), vit, swin, "
        "hybrid, segmenter, detector (default of those tasks).",
    ),
]
MethodOption = Annotated[
    str | None,
    typer.Option(
        "--method",
        help="A name that `tfcam methods` lists; default: xgrad-cam, of a detection odam.",
        autocompletion=method_names,
    ),
]
ThresholdOption = Annotated[
    float | None,
    typer.Option("--threshold", help="The least confidence of a detection; default: 0.3.", min=0.0, max=1.0),
]
LayerOption = Annotated[
    str | None, typer.Option("--layer", help="Name, path or index (see `tfcam layers`); default: the last activation.")
]
TokensOption = Annotated[
    str | None,
    typer.Option(
        "--tokens",
        help="PREFIX,ROWS,COLUMNS: how the tokens of a transformer lie, such as 1,14,14; default: as the model tells.",
    ),
]
TargetOption = Annotated[str | None, typer.Option("--class", help="Number or name; default: the predicted class.")]
TaskOption = Annotated[
    str | None,
    typer.Option(
        "--task",
        help="What is explained: detection, segmentation, regression, doubt, multi-label ...; default: a class.",
    ),
]
RegionOption = Annotated[
    str | None,
    typer.Option(
        "--region",
        help="Of --task segmentation: predicted (default), border, component, all, ROW,COLUMN or TOP,LEFT,BOTTOM,RIGHT "
        "in pixels of the model's output.",
    ),
]
PreprocessOption = Annotated[
    str | None, typer.Option(help="For a model file: none, scale01, scale-11 or a keras.applications module.")
]
ClassesOption = Annotated[Path | None, typer.Option(help="Text file with one class name a line.")]
AlignOption = Annotated[
    str | None,
    typer.Option(
        "--align",
        help="Place the cells of maps where they look: arithmetic, effective, or OFFSET,JUMP in pixels of the model's "
        "input; default: the grid is stretched.",
    ),
]
UnsafeOption = Annotated[
    bool, typer.Option("--unsafe", help="Load a model file even if it holds code, such as a Lambda layer's.")
]


class Existing(str, Enum):
    """What is done with a file that is there already."""

    fail = "fail"
    skip = "skip"
    overwrite = "overwrite"


ExistingOption = Annotated[Existing, typer.Option(help="What is done with files that are there already.")]
WeightsOption = Annotated[
    str | None, typer.Option("--weights", help="For keras.applications: imagenet (default), a file, or none.")
]


def progress_bar(of: str, count: int) -> AbstractContextManager[Report | None]:
    """Return a progress bar of so many images or layers, on a terminal."""
    from tfcam.engine.progress import bar

    shown_on = console if console.is_terminal else errors
    return bar(count, shown_on, of) if shown_on.is_terminal else nullcontext()


def layer_of(layer: str | None) -> str | int | None:
    """Return a layer as it is asked for: a name, a path or an index."""
    return int(layer) if layer is not None and layer.lstrip("-").isdecimal() else layer


def tokens_of(tokens: str | None) -> tuple[int, tuple[int, ...]] | None:
    """Return how tokens lie, as `tfcam.Explainer` takes it."""
    if tokens is None:
        return None
    try:
        prefix, *grid = map(int, tokens.split(","))
    except ValueError:
        raise ValueError(f"--tokens {tokens} must be PREFIX,ROWS,COLUMNS, such as 1,14,14.") from None
    return prefix, tuple(grid)


def operator_of(task: str | None, region: str | None = None, threshold: float | None = None) -> Operator:
    """Return what explains a task: of a segmentation a region, of detections those above a threshold."""
    from tfcam.operators import Detection, Segmentation, find_operator

    operator = find_operator(task)
    if threshold is not None:
        if not isinstance(operator, Detection):
            raise ValueError(f"--threshold {threshold:g} is of detections: add --task detection.")
        operator = Detection(threshold=threshold)
    if region is None:
        return operator
    if not isinstance(operator, Segmentation):
        raise ValueError(f"--region {region} is of a segmentation: add --task segmentation.")
    if "," not in region:
        return Segmentation(region)
    try:
        return Segmentation(tuple(map(int, region.split(","))))
    except ValueError:
        raise ValueError(
            f"--region {region} must be a name, ROW,COLUMN or TOP,LEFT,BOTTOM,RIGHT, such as 10,10,60,80."
        ) from None


def method_of(method: str | None, task: str | None, default: str = "xgrad-cam") -> type[Explainer]:
    """Return the method that explains a task: the one that is named, or the default."""
    from tfcam.methods import get_method
    from tfcam.operators import Detection, find_operator

    if method is None and isinstance(find_operator(task), Detection):
        # Grad-CAM and its kin weight whole channels, and show every object of the class.
        return get_method("odam")  # type: ignore[no-any-return]
    return get_method(method or default)  # type: ignore[no-any-return]


def shown_as(align: str | None) -> dict[str, Any]:
    """Return how maps are laid over images, as `tfcam.Explainer.explain` takes it."""
    if align is None:
        return {"resize": True, "align": None}
    numbers = align.split(",")
    try:
        return {"resize": "aligned", "align": tuple(map(float, numbers)) if len(numbers) > 1 else align}
    except ValueError:
        return {"resize": "aligned", "align": align}


def text_of(path: Path, option: str) -> str:
    """Return the text of the file that an option names."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ValueError(f"{option} {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{option} {path} cannot be read: it is no text in UTF-8; save it as such.") from error


def say_skipped(problem: Exception) -> None:
    """Say why an image is left out."""
    # On the terminal that has the progress bar, its own console prints above it.
    (console if console.is_terminal and errors.is_terminal else errors).print(
        f"[yellow]Skipped:[/] {escape(str(problem))}", soft_wrap=True
    )
