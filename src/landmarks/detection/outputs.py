"""Writes the results of a detector's evaluation to the run folder: metrics, drawn boxes and a report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from landmarks.config import write_json
from landmarks.data import MissingImageError, UnreadableImageError, open_image
from landmarks.detection.drawing import BoxedImage, DrawnBoxes, draw_sheet
from landmarks.detection.evaluation import SPLIT
from landmarks.detection.metrics import write_detections_csv
from landmarks.detection.openimages import DetectionSet
from landmarks.evaluation import Scores, plain
from landmarks.ids import format_id
from landmarks.recognition import DetectionClasses, Detections
from landmarks.report import write_summary
from landmarks.terminal import Console

OUTPUTS = ("metrics.json", "predictions.csv", "boxes.png", "report.html")  # files that an evaluation writes
TITLES = {"map@0.5": "mAP at IoU 0.5, 2018 challenge", "v2_map@0.5": "mAP at IoU 0.5, Open Images V2"}
SHOWN_CLASSES = 12  # number of classes in the printed table; metrics.json has all


@dataclass(frozen=True, eq=False)
class Findings:
    """The results of an evaluation.

    Attributes:
        results: Metrics by the label of each evaluation, such as "untrained" and "trained".
        by_class: Average precisions by machine name, NaN for a class without true boxes.
        images: The images and their true boxes.
        sample: Rows of `images` to draw, int64 [n].
        found: Detections of `classes` in these images; those in other images are ignored.
        classes: Classes of the detector.
        predictions: Detections to write as a submission file; None writes none.
    """

    results: Mapping[str, Scores]
    by_class: Mapping[str, float]
    images: DetectionSet
    sample: NDArray[np.int64]
    found: Sequence[Detections]
    classes: DetectionClasses
    predictions: Detections | None = None

    def titled_precisions(self) -> dict[str, float]:
        """Return the average precision by readable class name, without classes that have no true box."""
        classes = self.images.classes
        titles = dict(zip(classes.names.tolist(), classes.titles.tolist(), strict=True))
        return {titles[name]: value for name, value in self.by_class.items() if value == value}


def write_findings(
    run_dir: Path, title: str, findings: Findings, figures: Mapping[str, Any], facts: Mapping[str, str]
) -> None:
    """Write all results of an evaluation, replacing those of an earlier one, and print a summary.

    Args:
        run_dir: The run folder.
        title: Title of the report.
        findings: The results.
        figures: Other values for `metrics.json`, to which the average precision of each class is added.
        facts: What was evaluated, for the report.
    """
    for name in OUTPUTS:
        (run_dir / name).unlink(missing_ok=True)
    if findings.predictions is not None:
        write_detections_csv(run_dir / "predictions.csv", findings.predictions)
    precisions = findings.titled_precisions()
    write_json(run_dir / "metrics.json", plain({**figures, "ap@0.5": precisions}))
    if len(findings.sample):
        draw_sheet([_boxed(findings, row) for row in findings.sample.tolist()], run_dir / "boxes.png")
    _write_page(run_dir, title, findings.results, facts)
    _print(run_dir, findings.results, precisions)


def _write_page(run_dir: Path, title: str, results: Mapping[str, Scores], facts: Mapping[str, str]) -> None:
    images = {"Curves": run_dir / "curves.png", "Boxes": run_dir / "boxes.png"}
    config = run_dir / "config.yaml"
    scores = {
        f"{heading} ({label})": {SPLIT: of_run[SPLIT][name]}
        for name, heading in TITLES.items()
        for label, of_run in results.items()
    }
    write_summary(
        run_dir / "report.html",
        title,
        scores,
        images={heading: path for heading, path in images.items() if path.is_file()},
        config=config.read_text() if config.is_file() else "",
        facts=facts,
    )


def _print(run_dir: Path, results: Mapping[str, Scores], precisions: Mapping[str, float]) -> None:
    """Print the metrics, the best and the worst classes, and the folder of the results."""
    console = Console()
    means = Table("", *TITLES.values(), title="Results", title_justify="left")
    for label, scores in results.items():
        means.add_row(label, *(f"{scores[SPLIT][name]:.4f}" for name in TITLES))
    console.print(means)
    known = sorted(((value, name) for name, value in precisions.items()), reverse=True)
    if known:
        shown = known if len(known) <= SHOWN_CLASSES else [*known[: SHOWN_CLASSES // 2], *known[-SHOWN_CLASSES // 2 :]]
        table = Table("class", "AP at IoU 0.5", title=f"{len(known)} classes", title_justify="left")
        for value, name in shown:
            table.add_row(name, f"{value:.4f}")
        console.print(table)
    console.print(f"The metrics, images and report.html are in [bold]{run_dir}[/]", soft_wrap=True)


def _boxed(findings: Findings, row: int) -> BoxedImage:
    images = findings.images
    image_id = images.images.table.ids[row]
    try:
        image = (
            open_image(images.images.read(row)).as_stored().decode()
        )  # boxes of Open Images ignore EXIF orientations
    except (UnreadableImageError, MissingImageError):
        image = None
    true = images.boxes.of(row)
    titles = images.classes.titles[images.boxes.labels[true]].tolist()
    groups = images.boxes.group_of[true].tolist()
    here = [(one, np.flatnonzero(one.image_ids == image_id)) for one in findings.found]
    labels = np.concatenate([np.empty(0, np.int64), *(one.labels[rows] for one, rows in here)])
    return BoxedImage(
        image,
        format_id(image_id),
        DrawnBoxes(
            images.boxes.boxes[true],
            np.array([f"{title} (group)" if group else title for title, group in zip(titles, groups, strict=True)]),
        ),
        DrawnBoxes(
            np.concatenate([np.empty((0, 4)), *(one.boxes[rows] for one, rows in here)]),
            findings.classes.titles[labels],
            np.concatenate([np.empty(0), *(one.scores[rows] for one, rows in here)]),
        ),
    )
