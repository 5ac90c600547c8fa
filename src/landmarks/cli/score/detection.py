"""`landmarks score detection`: average precision of predicted boxes."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from landmarks.cli.endings import named_endings
from landmarks.cli.score.figures import AsJson, share

if TYPE_CHECKING:
    from landmarks.detection import BoxTruth, DetectionFigures
    from landmarks.recognition import Detections

BoxesPath = Annotated[Path, typer.Argument(metavar="BOXES", help="True boxes (CSV of Open Images).")]
LabelsPath = Annotated[Path, typer.Argument(metavar="IMAGE_LABELS", help="Image-level labels that people verified.")]
PredictionsPath = Annotated[Path, typer.Argument(metavar="PREDICTIONS", help="Predicted boxes with their scores.")]
ClassesPath = Annotated[
    Path | None, typer.Option("--classes", metavar="CSV", help="Score these classes only, and show their titles.")
]
HierarchyPath = Annotated[
    Path | None,
    typer.Option("--hierarchy", metavar="JSON", help="Expand boxes and labels, not predictions, along it first."),
]


def detection(
    boxes: BoxesPath,
    image_labels: LabelsPath,
    predictions: PredictionsPath,
    as_json: AsJson = False,
    classes: ClassesPath = None,
    hierarchy: HierarchyPath = None,
) -> None:
    """Print the average precision of boxes at an overlap of 0.5, as the Open Images evaluators count it.

    Predictions should name the classes above their own as well, as the boxes do once they are expanded.
    """
    # polars, which reads these files, would make every other command start later
    from landmarks.detection import read_truth, score_detections
    from landmarks.recognition import read_boxes

    titles: dict[str, str] = {}
    with named_endings(Console(stderr=True)):
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
    truth: "BoxTruth", detections: "Detections", figures: dict[str, "DetectionFigures"], titles: dict[str, str]
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
        table.caption = (f"Not counted of {len(unknown)} predictions: {unknown.sum()} in pictures, and {others.sum()} "
                         "of classes, that the truth does not name.")  # fmt: skip
    Console().print(table)
