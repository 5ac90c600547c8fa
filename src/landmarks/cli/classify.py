"""`landmarks classify`: classify the landmarks in images."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from landmarks.cli.console import AsJson, Trust, named_endings
from landmarks.cli.images import (
    Device,
    ImagePaths,
    ModelPath,
    Where,
    checked,
    followed,
    image_entry,
    numbers_table,
    print_below,
    print_json,
)
from landmarks.config import trusted
from landmarks.errors import LandmarksError, shown

if TYPE_CHECKING:
    from landmarks.interop import LandmarkClass

Top = Annotated[int, typer.Option(min=1, help="Number of classes for each image.")]
Categories = Annotated[
    Path | None,
    typer.Option(metavar="CSV", help="Names of landmarks: train_label_to_category.csv of Google Landmarks v2."),
]


def classify(
    model: ModelPath,
    images: ImagePaths,
    top: Top = 5,
    categories: Categories = None,
    as_json: AsJson = False,
    device: Device = Where.auto,
    trust: Trust = None,
) -> None:
    """Classify the landmarks that images show; print the likeliest ones with their softmax probabilities.

    This needs a classifier: the published res152_softmax_v1 and _v2, or a model trained with a loss that has class
    weights, such as loss=softmax.

    With `--json`: `{"model", "name", "task": "classification", "results": [{"image", "width", "height", "classes":
    [{"rank", "label", "landmark_id", "category", "score"}, …]}, …]}`. `label` counts the model's classes from 0;
    `landmark_id`, a number of Google Landmarks v2, and `category` are null where unknown.
    """
    with named_endings() as stderr:
        sizes = checked(model, images)
        names = None
        if categories is not None:
            from landmarks.data import read_categories

            names = read_categories(categories)
        from landmarks.interop import classify_images, landmark_class
        from landmarks.models import open_model

        classifier = open_model(model, "classes", device.value, onnx=True, trust=trusted(trust))
        if names is not None and not classifier.record.labels:
            raise LandmarksError(
                f"--categories: {model} does not hold the landmark ids of its classes; import it with --labels"
            )
        labels, scores = classify_images(classifier, followed(images, stderr), top)
        found = [[landmark_class(classifier, label, names) for label in row] for row in labels.tolist()]
    if as_json:
        results = [
            {
                **image_entry(path, sizes),
                "classes": [
                    {"rank": rank, **asdict(one), "score": score}
                    for rank, (one, score) in enumerate(zip(row, row_scores, strict=True), start=1)
                ],
            }
            for path, row, row_scores in zip(images, found, scores.tolist(), strict=True)
        ]
        print_json(model, classifier.name, "classification", results)
        return
    _print_landmarks(images, found, scores.tolist())


def _print_landmarks(
    paths: Sequence[Path], found: Sequence[Sequence["LandmarkClass"]], scores: Sequence[Sequence[float]]
) -> None:
    """Print a table of the likeliest landmarks of each image."""
    for path, row, row_scores in zip(paths, found, scores, strict=True):
        table = numbers_table("rank", "score", "label", "landmark id", words="category")
        for rank, (one, score) in enumerate(zip(row, row_scores, strict=True), start=1):
            number = "" if one.landmark_id is None else str(one.landmark_id)
            table.add_row(str(rank), f"{score:.4f}", str(one.label), number, Text(shown(one.category or "")))
        print_below(shown(path), table)
