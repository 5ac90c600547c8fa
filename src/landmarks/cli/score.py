"""`landmarks score`: metrics of submission files, public and private, and average precision of predicted boxes.

`--json` prints them as JSON with the names of the official metrics; metrics of a split without images and of a class
without boxes are null.
"""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from rich.table import Table

from landmarks.cli.console import AsJson, named_endings
from landmarks.terminal import Console

if TYPE_CHECKING:
    from landmarks.detection import BoxTruth, DetectionMetrics
    from landmarks.recognition import Detections

Figures = dict[str, dict[str, float]]

SolutionPath = Annotated[Path, typer.Argument(metavar="SOLUTION", help="Official solution file (CSV).")]
SubmissionPath = Annotated[Path, typer.Argument(metavar="SUBMISSION", help="Submission file (CSV).")]


def print_metrics(figures: Figures, title: str, as_json: bool) -> None:
    """Print metrics of the public and the private queries."""
    if as_json:
        # JSON has no NaN, which stands for a metric of a split without images.
        known = {
            split: {name: None if math.isnan(value) else value for name, value in values.items()}
            for split, values in figures.items()
        }
        typer.echo(json.dumps(known, indent=1))
        return
    table = Table(title=title, title_justify="left")
    table.add_column("metric")
    for split in figures:
        table.add_column(split, justify="right")
    for name in figures["public"]:
        values = [figures[split][name] for split in figures]
        shown = [share(value) if not name.endswith("position") else _position(value) for value in values]
        table.add_row(name, *shown)
    Console().print(table)


def share(value: float) -> str:
    """Format a metric between 0 and 1; NaN becomes a dash."""
    return "-" if math.isnan(value) else f"{value:.4f}"


def _position(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1f}"


def retrieval(solution: SolutionPath, submission: SubmissionPath, as_json: AsJson = False) -> None:
    """Print mAP@100 and the other metrics of a retrieval submission."""
    from landmarks.metrics import read_retrieval_solution, read_retrieval_submission, score_retrieval

    with named_endings():
        truth = read_retrieval_solution(solution)
        figures = score_retrieval(truth, read_retrieval_submission(submission, truth))
    print_metrics(figures, "Retrieval", as_json)


def recognition(solution: SolutionPath, submission: SubmissionPath, as_json: AsJson = False) -> None:
    """Print GAP and the other metrics of a recognition submission."""
    from landmarks.metrics import read_recognition_solution, read_recognition_submission, score_recognition

    with named_endings():
        truth = read_recognition_solution(solution)
        figures = score_recognition(truth, read_recognition_submission(submission, truth))
    print_metrics(figures, "Recognition", as_json)


BoxesPath = Annotated[Path, typer.Argument(metavar="BOXES", help="Ground-truth boxes (CSV of Open Images).")]
LabelsPath = Annotated[
    Path, typer.Argument(metavar="IMAGE_LABELS", help="Human-verified image-level labels (CSV of Open Images).")
]
PredictionsPath = Annotated[Path, typer.Argument(metavar="PREDICTIONS", help="Predicted boxes with their scores.")]
ClassesPath = Annotated[
    Path | None, typer.Option("--classes", metavar="CSV", help="Score these classes only, and show their titles.")
]
HierarchyPath = Annotated[
    Path | None,
    typer.Option(
        "--hierarchy",
        metavar="JSON",
        help="Class hierarchy: first expand boxes and labels to parent classes.",
    ),
]


def detection(
    boxes: BoxesPath,
    image_labels: LabelsPath,
    predictions: PredictionsPath,
    as_json: AsJson = False,
    classes: ClassesPath = None,
    hierarchy: HierarchyPath = None,
) -> None:
    """Print the average precision of boxes at IoU 0.5, as the Open Images evaluators compute it.

    With --hierarchy, predictions should also have boxes for the parents of their classes, as the expanded truth does.
    """
    # Imported here, because polars, which reads these files, would delay the start of every other command.
    from landmarks.detection import read_truth, score_detections
    from landmarks.recognition import read_boxes

    titles: dict[str, str] = {}
    with named_endings():
        truth, detections = read_truth(boxes, image_labels), read_boxes(predictions)
        if hierarchy is not None:
            from landmarks.detection import expand_truth, read_hierarchy

            truth = expand_truth(truth, read_hierarchy(hierarchy))
        if classes is not None:
            from landmarks.recognition import read_classes

            described = read_classes(classes)
            titles = dict(zip(described.names.tolist(), described.titles.tolist(), strict=True))
            truth = truth.of_classes(described.names)
        figures = score_detections(truth, detections)
    if as_json:
        typer.echo(json.dumps({name: of_evaluator.as_dict() for name, of_evaluator in figures.items()}, indent=1))
    else:
        _print_detection(truth, detections, figures, titles)


def _print_detection(
    truth: "BoxTruth", detections: "Detections", figures: dict[str, "DetectionMetrics"], titles: dict[str, str]
) -> None:
    numbers = [
        np.bincount(truth.labels[which], minlength=len(truth.classes)) for which in (slice(None), truth.group_of)
    ]
    precisions = [of_evaluator.average_precisions for of_evaluator in figures.values()]
    table = Table(title="Detection, average precision at 0.5", title_justify="left", caption_justify="left")
    table.add_column("class")
    for name in ("boxes", "group-of", *figures):
        table.add_column(name, justify="right")
    means = [of_evaluator.mean for of_evaluator in figures.values()]
    table.add_row("mean", *(str(number.sum()) for number in numbers), *map(share, means), end_section=True)
    for row in np.lexsort((truth.classes, -np.nan_to_num(precisions[0], nan=-1))).tolist():
        name = str(truth.classes[row])
        shown = f"{titles[name]} ({name})" if titles.get(name) else name
        table.add_row(shown, *(str(number[row]) for number in numbers), *(share(values[row]) for values in precisions))
    unknown = ~np.isin(detections.image_ids, np.concatenate([truth.image_ids, truth.verified_image_ids]))
    others = ~np.isin(detections.classes, truth.classes)[detections.labels] & ~unknown
    if unknown.any() or others.any():
        table.caption = (f"Not counted of {len(unknown)} predictions: {unknown.sum()} in images, and {others.sum()} "
                         "of classes, that the truth does not name.")  # fmt: skip
    Console().print(table)


app = typer.Typer(help="Score a submission or predicted boxes against the ground truth.", no_args_is_help=True)
for command in (retrieval, recognition, detection):
    app.command()(command)
