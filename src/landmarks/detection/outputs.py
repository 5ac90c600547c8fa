"""What the evaluation of a detector leaves in the run folder: figures, drawn boxes, and a page to read."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from landmarks.config.record import write_json
from landmarks.data.images.decode import UnreadableImageError, open_image
from landmarks.data.stores.store import MissingImageError
from landmarks.detection.box_drawing import DrawnBoxes
from landmarks.detection.evaluation import SPLIT, Scores
from landmarks.detection.openimages.detection_set import DetectionSet
from landmarks.detection.report import BoxedPicture, draw_boxes
from landmarks.evaluation.outputs import plain
from landmarks.metrics.hex_ids import hex_of
from landmarks.recognition.detections.boxes import Detections
from landmarks.recognition.detections.classes import DetectionClasses
from landmarks.report.summary import write_summary

OUTPUTS = ("metrics.json", "predictions.csv", "boxes.png", "report.html")
TITLES = {"map@0.5": "mAP at IoU 0.5, 2018 challenge", "v2_map@0.5": "mAP at IoU 0.5, Open Images V2"}
SHOWN_CLASSES = 12  # in the printed table; metrics.json has all


def remove_outputs(run_dir: Path) -> None:
    """Remove what an earlier evaluation left in the run folder, so that old and new are never mixed."""
    for name in OUTPUTS:
        (run_dir / name).unlink(missing_ok=True)


def write_figures(
    run_dir: Path, figures: Mapping[str, Any], by_class: Mapping[str, float], classes: DetectionClasses
) -> None:
    """Write `metrics.json`.

    Args:
        run_dir: of the run.
        figures: plain values.
        by_class: average precision of each class, machine name to value; NaN, of one without boxes, is left out.
        classes: what people call them, at least.
    """
    titles = dict(zip(classes.names.tolist(), classes.titles.tolist(), strict=True))
    named = {titles[name]: value for name, value in by_class.items() if value == value}
    write_json(run_dir / "metrics.json", plain({**figures, "ap@0.5": named}))


def draw_sample(
    out: Path, pictures: DetectionSet, rows: NDArray[np.int64], found: Sequence[Detections], titles: DetectionClasses
) -> None:
    """Draw what is true and what was found in some pictures.

    Args:
        out: PNG to write; nothing is written where there is no picture.
        pictures: what is true.
        rows: of `pictures`, int64 [n].
        found: boxes in these and any other pictures.
        titles: of the classes that can be found.
    """
    drawn = [_boxed(pictures, row, found, titles) for row in rows.tolist()]
    if drawn:
        draw_boxes(drawn, out)


def write_report(run_dir: Path, title: str, results: Mapping[str, Scores], facts: Mapping[str, str]) -> None:
    """Write `report.html`, one page with figures, curves, drawn boxes and the configuration of a run."""
    pictures = {"Curves": run_dir / "curves.png", "Boxes": run_dir / "boxes.png"}
    config = run_dir / "config.yaml"
    scores = {
        f"{TITLES[name]} ({label})": {SPLIT: value}
        for name in TITLES
        for label, found in results.items()
        if (value := found.get(SPLIT, {}).get(name)) is not None
    }
    write_summary(
        run_dir / "report.html",
        title,
        scores,
        pictures={heading: path for heading, path in pictures.items() if path.is_file()},
        config=config.read_text() if config.is_file() else "",
        facts=facts,
    )


def print_results(
    run_dir: Path, results: Mapping[str, Scores], by_class: Mapping[str, float], classes: DetectionClasses
) -> None:
    """Print the means, the best and the worst classes, and where everything lies."""
    console = Console()
    means = Table("", *TITLES.values(), title="Results", title_justify="left")
    for label, scores in results.items():
        means.add_row(label, *(f"{scores[SPLIT][name]:.4f}" for name in TITLES))
    console.print(means)
    titles = dict(zip(classes.names.tolist(), classes.titles.tolist(), strict=True))
    known = sorted(
        ((value, titles.get(name, name)) for name, value in by_class.items() if value == value), reverse=True
    )
    if known:
        shown = known if len(known) <= SHOWN_CLASSES else [*known[: SHOWN_CLASSES // 2], *known[-SHOWN_CLASSES // 2 :]]
        table = Table("class", "AP at IoU 0.5", title=f"{len(known)} classes", title_justify="left")
        for value, name in shown:
            table.add_row(name, f"{value:.4f}")
        console.print(table)
    console.print(f"Figures, pictures and a page to read, report.html, are in [bold]{run_dir}[/]", soft_wrap=True)


def _boxed(pictures: DetectionSet, row: int, found: Sequence[Detections], titles: DetectionClasses) -> BoxedPicture:
    image_id = pictures.images.table.ids[row]
    try:
        encoded = open_image(pictures.images.read(row)).as_stored()  # as boxes of Open Images refer to it
        image = encoded.decode()
    except (UnreadableImageError, MissingImageError):
        image = None
    true = pictures.boxes.of(row)
    here = [(one, np.flatnonzero(one.image_ids == image_id)) for one in found]
    return BoxedPicture(
        image,
        hex_of(image_id),
        DrawnBoxes(
            pictures.boxes.boxes[true],
            pictures.classes.titles[pictures.boxes.labels[true]],
            dashed=pictures.boxes.group_of[true],
        ),
        DrawnBoxes(
            np.concatenate([np.empty((0, 4)), *(one.boxes[rows] for one, rows in here)]),
            titles.titles[np.concatenate([np.empty(0, np.int64), *(one.labels[rows] for one, rows in here)])],
            np.concatenate([np.empty(0), *(one.scores[rows] for one, rows in here)]),
        ),
    )
