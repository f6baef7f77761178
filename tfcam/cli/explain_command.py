"""The command ``tfcam explain``: a picture for each image file, with its map."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from rich.markup import escape

from tfcam.cli.files import DiskFull
from tfcam.cli.image_files import Job, plan
from tfcam.cli.options import (
    AlignOption,
    ClassesOption,
    Existing,
    ExistingOption,
    LayerOption,
    MethodOption,
    ModelOption,
    PreprocessOption,
    RegionOption,
    TargetOption,
    TaskOption,
    ThresholdOption,
    TokensOption,
    UnsafeOption,
    WeightsOption,
    console,
    errors,
    layer_of,
    method_of,
    operator_of,
    progress_bar,
    say_skipped,
    shown_as,
    tokens_of,
    typer,
)
from tfcam.cli.quiet import import_tensorflow
from tfcam.methods import get_method

if TYPE_CHECKING:
    from tfcam.cli.explain_files import Outcome


def explain(
    images: Annotated[list[Path], typer.Argument(help="Image files, and folders of them.")],
    model: ModelOption = None,
    method: MethodOption = None,
    layer: LayerOption = None,
    tokens: TokensOption = None,
    target: TargetOption = None,
    task: TaskOption = None,
    region: RegionOption = None,
    threshold: ThresholdOption = None,
    output: Annotated[Path, typer.Option(help="Folder for the overlays.")] = Path("output"),
    save_maps: Annotated[bool, typer.Option("--save-maps", help="Write each map as .npy too.")] = False,
    preprocess: PreprocessOption = None,
    classes: ClassesOption = None,
    weights: WeightsOption = None,
    batch_size: Annotated[int, typer.Option(help="Images per forward pass.", min=1)] = 16,
    align: AlignOption = None,
    top: Annotated[
        int | None, typer.Option(help="Explain the so many likeliest classes, or detections, in place of one.", min=1)
    ] = None,
    compare: Annotated[
        list[str] | None, typer.Option("--compare", help="Another method beside the first; again for more.")
    ] = None,
    bare: Annotated[bool, typer.Option("--bare", help="Write the overlay alone, of the photograph's size.")] = False,
    cmap: Annotated[str, typer.Option(help="A matplotlib colour map.")] = "turbo",
    alpha: Annotated[float, typer.Option(help="Opacity of the highest value.", min=0.0, max=1.0)] = 0.6,
    unsafe: UnsafeOption = False,
    existing: ExistingOption = Existing.fail,
) -> None:
    """Write a picture for each image: the photograph, its map, the class and its score; and say them."""
    if top is not None and (target is not None or compare):
        raise ValueError("--top explains the likeliest classes by one method: leave off --class and --compare.")
    if bare and (top or compare):
        raise ValueError("--bare writes one overlay alone: leave off --top and --compare.")
    jobs = _not_yet_done(plan(images, output), save_maps, existing)
    if not jobs:
        return
    import_tensorflow()
    import matplotlib

    from tfcam.cli.explain_files import Request, explained
    from tfcam.cli.models import embedded_for, load_model
    from tfcam.cli.panels import Look
    from tfcam.engine import MapOptions

    if cmap not in matplotlib.colormaps:
        raise ValueError(f"--cmap {cmap!r} is no colour map of matplotlib, such as turbo, inferno, viridis or jet.")
    shown = MapOptions.read(normalize=False, **shown_as(align))
    first_method = method_of(method, task)
    found = dict.fromkeys([first_method, *map(get_method, compare or [])])
    operator = operator_of(task or first_method.needs_operator or None, region, threshold)
    loaded = load_model(model or embedded_for(operator), preprocess, classes, weights, unsafe)
    explainers = {
        one.__name__: one(
            loaded.model,
            conv_layer=layer_of(layer),
            tokens=tokens_of(tokens),
            batch_size=batch_size,
            operator=operator,
        )
        for one in found
    }
    first = next(iter(explainers.values()))
    request = Request(operator, loaded.target_of(target), top, shown, Look(bare, cmap, alpha), save_maps)
    told: list[bool] = []
    try:
        console.print(
            f"Explaining [bold]{escape(str(first.conv_layer))}[/] of {escape(loaded.model.name)} by "
            f"{', '.join(one.name for one in found)}."
        )
        if model is not None and preprocess is None and loaded.from_file:
            console.print("The model gets pixels from 0 to 255; --preprocess changes that.", highlight=False)
        with progress_bar("images", len(jobs)) as report:
            outcomes = explained(jobs, loaded, explainers, request, report)
            told.extend(_told(outcome) for outcome in outcomes)
    except KeyboardInterrupt:
        errors.print(f"Interrupted: {len(told)} of {len(jobs)} images are done.")
        raise typer.Exit(130) from None
    except DiskFull as error:
        raise ValueError(
            f"{error.strerror}; {len(told)} of {len(jobs)} images are done. Make room, and the same command with "
            "--existing skip goes on from there."
        ) from error
    failed = sum(told)
    if failed:
        errors.print(f"{failed} of {len(jobs)} images have no overlay.")
        raise typer.Exit(2 if failed == len(jobs) else 1)


def _told(outcome: Outcome) -> bool:
    """Say what came of a job, and return whether it failed."""
    if outcome.problem is not None:
        say_skipped(outcome.problem)
        return True
    said = ", ".join(escape(f"{name} ({how_much})" if how_much else name) for name, how_much in outcome.said)
    console.print(
        f"{escape(outcome.title)}: {said} -> {escape(str(outcome.job.overlay))}",
        soft_wrap=True,
        highlight=False,
    )
    return False


def _not_yet_done(jobs: list[Job], save_maps: bool, existing: Existing) -> list[Job]:
    """Return the jobs to do, given what is done with those whose files exist."""
    if existing is Existing.overwrite:
        return jobs
    if existing is Existing.fail:
        wanted = (path for job in jobs for path in ([job.overlay, job.maps] if save_maps else [job.overlay]))
        there = [path for path in wanted if path.exists()]
        if there:
            more = f" and {len(there) - 1} more" if len(there) > 1 else ""
            raise ValueError(
                f"{there[0]}{more} would be overwritten: give another --output, --existing overwrite, or --existing "
                "skip, which leaves the overlays of images that have not changed and writes the others."
            )
        return jobs
    left = [job for job in jobs if not job.is_done(save_maps)]
    if len(left) < len(jobs):
        console.print(f"{len(jobs) - len(left)} of {len(jobs)} images have their files already.", highlight=False)
    return left
