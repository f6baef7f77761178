"""The command ``tfcam evaluate``: which methods and layers to trust, on a folder of images."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

from rich.markup import escape

from tfcam.cli.options import (
    AlignOption,
    ClassesOption,
    ModelOption,
    PreprocessOption,
    RegionOption,
    TaskOption,
    UnsafeOption,
    WeightsOption,
    console,
    errors,
    layer_of,
    operator_of,
    progress_bar,
    say_skipped,
    shown_as,
    typer,
)
from tfcam.cli.quiet import import_tensorflow


def evaluate(
    folder: Annotated[Path, typer.Argument(help="Images, in a folder for each class, or with --labels.")],
    labels: Annotated[
        Path | None, typer.Option(help="CSV whose first line names the columns: file, and class by number or name.")
    ] = None,
    model: ModelOption = None,
    method: Annotated[
        list[str] | None, typer.Option(help="A method; again for more. Default: all of one pass.")
    ] = None,
    layer: Annotated[list[str] | None, typer.Option(help="A layer; again for more. Default: each method's.")] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(help="A metric, and its options: deletion:percent=10. Again for more. See `tfcam metrics`."),
    ] = None,
    masks: Annotated[
        Path | None, typer.Option(help="Folder with a mask for each image, of the same name: where the object is.")
    ] = None,
    boxes: Annotated[
        Path | None, typer.Option(help="CSV with the columns file, left, top, right, bottom, in pixels of the files.")
    ] = None,
    task: TaskOption = None,
    region: RegionOption = None,
    in_region: Annotated[
        bool, typer.Option("--in-region", help="The explained region is where the object is, for localisation.")
    ] = False,
    output: Annotated[Path, typer.Option(help="Folder for the table, as CSV and JSON, and the plot.")] = Path(
        "evaluation"
    ),
    preprocess: PreprocessOption = None,
    classes: ClassesOption = None,
    weights: WeightsOption = None,
    batch_size: Annotated[int, typer.Option(help="Images per forward pass.", min=1)] = 16,
    align: AlignOption = None,
    unsafe: UnsafeOption = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Begin anew; otherwise a run goes on from what is measured.")
    ] = False,
) -> None:
    """Rank methods and layers by what metrics say of them, on a folder of images with their classes."""
    import_tensorflow()
    from tfcam.cli.evaluate_files import JOURNAL, Journal, file_version, identity, measure, read_metrics
    from tfcam.cli.files import DiskFull, alone_in, whole
    from tfcam.cli.ground_truth_files import GroundTruthFiles
    from tfcam.cli.labels import labelled_images
    from tfcam.cli.models import embedded_for, load_model
    from tfcam.evaluation import Evaluator
    from tfcam.evaluation.comparison import needed_operator

    operator = operator_of(task or needed_operator(method or []), region)
    loaded = load_model(model or embedded_for(operator), preprocess, classes, weights, unsafe)
    images = labelled_images(folder, labels, loaded, output)
    layers = [layer_of(one) for one in layer] if layer else None
    metrics = read_metrics(metric or [])
    if in_region and (masks or boxes):
        raise ValueError("--in-region says where the objects are: leave off --masks and --boxes.")
    ground_truth = GroundTruthFiles(folder, masks, boxes) if masks or boxes else None
    evaluator = Evaluator(
        loaded.model,
        method or None,
        layers,
        metrics,
        None,
        batch_size,
        operator=operator,
        activation="auto",
        knows_objects=ground_truth is not None,
        in_region=in_region,
        **shown_as(align),
    )
    settings: dict[str, Any] = {
        "model": model,
        "file": file_version(model),
        "preprocess": preprocess,
        "weights": weights,
        "methods": method,
        "layers": layer,
        "metrics": metric or list(evaluator.metrics),
    }
    # Only what is asked for: a journal of before these options goes on.
    asked = {"align": align, "task": task, "region": region, "in region": in_region or None}
    settings |= {name: value for name, value in asked.items() if value is not None}
    if ground_truth is not None:
        settings["objects"] = [str(path) for path in (masks, boxes) if path]
    with alone_in(output):
        journal = Journal(output / JOURNAL, settings, images, lambda image: identity(image, ground_truth), overwrite)
        if journal.damaged:
            errors.print(
                f"{journal.damaged} lines of {output / JOURNAL} are damaged; what they held is measured again.",
                highlight=False,
            )
        if journal.done:
            console.print(f"{journal.done} of {len(images)} images are measured already.", highlight=False)
        failed = 0
        try:
            with progress_bar("images", len(journal.left)) as report:
                for said in measure(journal.left, loaded, evaluator, journal, batch_size, ground_truth, report):
                    if isinstance(said, str):
                        console.print(f"{escape(said)}.", highlight=False, soft_wrap=True)
                    else:
                        failed += 1
                        say_skipped(said)
        except KeyboardInterrupt:
            errors.print(
                f"Interrupted: {journal.done} of {len(images)} images are measured; the same command goes on from "
                "there."
            )
            raise typer.Exit(130) from None
        except DiskFull as error:
            raise ValueError(
                f"{error.strerror}; {journal.done} of {len(images)} images are measured. Make room, and the same "
                "command goes on from there."
            ) from error
        if not journal.done:
            raise ValueError(f"None of the {len(images)} images of {folder} could be read.")
        evaluation = journal.measured().evaluation(evaluator.metrics)
        for ending, write in (
            ("csv", evaluation.to_csv),
            ("json", evaluation.to_json),
            ("png", partial(evaluation.plot().savefig, dpi=150)),
        ):
            with whole(output / f"evaluation.{ending}") as part:
                write(part)
    console.print(str(evaluation), soft_wrap=True, highlight=False, markup=False)
    console.print(
        f"Table and plot: [bold]{escape(str((output / 'evaluation').resolve()))}[/].csv, .json, .png", soft_wrap=True
    )
    if failed:
        errors.print(f"{failed} of {len(images)} images are left out.")
        raise typer.Exit(1)
