"""`landmarks detect`: the objects that a detector finds in images."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from landmarks.cli.console import AsJson, Trust, named_endings
from landmarks.cli.images import (
    Device,
    ImagePaths,
    Where,
    checked,
    followed,
    image_entry,
    numbers_table,
    print_below,
    print_json,
)
from landmarks.config import trusted
from landmarks.errors import shown

DetectorPath = Annotated[
    Path, typer.Argument(metavar="MODEL", help="A detector: a model file (.safetensors) or a checkpoint (.ckpt).")
]
Draw = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Write each image with its boxes here; nothing is overwritten.")
]
MinScore = Annotated[float, typer.Option(min=0, max=1, help="Lowest score of a box.")]


def detect(
    model: DetectorPath,
    images: ImagePaths,
    draw: Draw = None,
    min_score: MinScore = 0.1,
    as_json: AsJson = False,
    device: Device = Where.auto,
    trust: Trust = None,
) -> None:
    """Find objects in images: boxes with the names of their classes, best first; optionally draw the boxes.

    Boxes are `[x, y, width, height]` as in COCO, from the upper left corner, in pixels of the upright image.

    With `--json`: `{"model", "name", "task": "detection", "results": [{"image", "width", "height", "drawn", "boxes":
    [{"class", "title", "score", "bbox": [x, y, width, height]}, …]}, …]}`. `class` is the machine name of Open Images,
    `drawn` the path of the drawn image or null.
    """
    with named_endings("Images that were drawn are kept.") as stderr:
        sizes = checked(model, images)
        from landmarks.detection import detect_objects, draw_objects, load_detector, make_folder

        if draw is not None:
            make_folder(draw)
        detector = load_detector(model, device.value, trusted(trust))
        classes = detector.classes
        results = []
        objects = detect_objects(detector, followed(images, stderr), min_score)
        for path, found in zip(images, objects, strict=True):
            drawn = None if draw is None else str(draw_objects(found, classes, path, draw))
            boxes = [
                {"class": str(classes.names[label]), "title": str(classes.titles[label]), "score": score, "bbox": box}
                for label, score, box in zip(found.labels, found.scores.tolist(), found.boxes.tolist(), strict=True)
            ]
            results.append({**image_entry(path, sizes), "drawn": drawn, "boxes": boxes})
    if as_json:
        print_json(model, detector.name, "detection", results)
    else:
        _print_boxes(results)


def _print_boxes(results: Sequence[Mapping[str, Any]]) -> None:
    """Print a table of the boxes of each image, from the entries of the JSON output."""
    for result in results:
        drawn = f" → {shown(result['drawn'])}" if result["drawn"] else ""
        table = numbers_table("score", "x", "y", "width", "height", words="class")
        for found in result["boxes"]:
            table.add_row(
                f"{found['score']:.4f}", *(f"{side:.1f}" for side in found["bbox"]), Text(shown(found["title"]))
            )
        heading = f"{shown(result['image'])}, {result['width']} x {result['height']}{drawn}"
        print_below(heading, table if result["boxes"] else "  nothing found\n")
