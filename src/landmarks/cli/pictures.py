"""`landmarks similarity`, `classify` and `detect`: what a model says of the pictures that are named.

All pictures are checked before torch is imported and the model opened, so that mistakes cost no time.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from landmarks.cli.data.endings import named_endings
from landmarks.cli.pictures_display import (
    Size,
    picture_entry,
    print_boxes,
    print_json,
    print_landmarks,
    print_similarities,
)
from landmarks.errors import LandmarksError, shown


class Where(StrEnum):
    """Where a model computes."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


ModelPath = Annotated[
    Path, typer.Argument(metavar="MODEL", help="A model file (.safetensors), a checkpoint (.ckpt), or .onnx.")
]
DetectorPath = Annotated[
    Path, typer.Argument(metavar="MODEL", help="A detector: a model file (.safetensors) or a checkpoint (.ckpt).")
]
FirstPath = Annotated[Path, typer.Argument(metavar="A", help="The picture that the others are compared with.")]
OtherPaths = Annotated[list[Path], typer.Argument(metavar="B [C …]", help="The others.")]
PicturePaths = Annotated[list[Path], typer.Argument(metavar="IMAGE…", help="Pictures.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Device = Annotated[Where, typer.Option(help="Where to compute; auto takes a GPU if there is one.")]
Top = Annotated[int, typer.Option(min=1, help="Classes of each picture.")]
Categories = Annotated[
    Path | None,
    typer.Option(metavar="CSV", help="Names of landmarks: train_label_to_category.csv of Google Landmarks v2."),
]
Draw = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Write each picture with its boxes here; nothing is overwritten.")
]
MinScore = Annotated[float, typer.Option(min=0, max=1, help="Least score of a box.")]


def similarity(
    model: ModelPath, first: FirstPath, others: OtherPaths, as_json: AsJson = False, device: Device = Where.auto
) -> None:
    """Compare pictures: the cosine of the first one's descriptor with that of each of the others.

    With `--json`: `{"model", "name", "task": "similarity", "first": {PICTURE}, "results": [{PICTURE, "cosine"}, …]}`
    in the given order. `PICTURE` is `"picture", "width", "height", "described_width", "described_height"`: the path as
    given, the size of the upright picture, and the size at which the network sees it, in pixels. MODEL is the path as
    given, `name` what the model calls itself.
    """
    paths = [first, *others]
    with _endings() as stderr:
        sizes = _checked(model, paths)
        from landmarks.interop.single_images import describe_pictures, similarities
        from landmarks.models.opened import open_model

        describer = open_model(model, "descriptors", device.value, onnx=True)
        cosines = similarities(describe_pictures(describer, _followed(paths, stderr))).tolist()
    seen = {path: describer.preprocessing.shape(*size) for path, size in sizes.items()}
    if as_json:
        entries = [
            {**picture_entry(path, sizes), "described_width": seen[path][1], "described_height": seen[path][0]}
            for path in paths
        ]
        results = [{**entry, "cosine": cosine} for entry, cosine in zip(entries[1:], cosines, strict=True)]
        print_json(model, describer.name, "similarity", results, {"first": entries[0]})
        return
    print_similarities(describer.name, paths, sizes, seen, cosines)


def classify(
    model: ModelPath,
    pictures: PicturePaths,
    top: Top = 5,
    categories: Categories = None,
    as_json: AsJson = False,
    device: Device = Where.auto,
) -> None:
    """Name the landmarks that pictures show, the likeliest first, with the probabilities of a softmax over all.

    The models that can: the released res152_softmax_v1 and _v2, and what was trained with a loss of class weights, such
    as loss=softmax.

    With `--json`: `{"model", "name", "task": "classification", "results": [{"picture", "width", "height", "classes":
    [{"rank", "label", "landmark_id", "category", "score"}, …]}, …]}`. `label` counts the model's classes from 0;
    `landmark_id`, a number of Google Landmarks v2, and `category` are null where nobody said.
    """
    with _endings() as stderr:
        sizes = _checked(model, pictures)
        names = None
        if categories is not None:
            from landmarks.data.gldv2.categories import read_categories

            names = read_categories(categories)
        from landmarks.interop.single_images import classify_pictures, landmark_class
        from landmarks.models.opened import open_model

        classifier = open_model(model, "classes", device.value, onnx=True)
        if names is not None and not classifier.record.labels:
            raise LandmarksError(
                f"--categories: {model} does not say which landmark is which of its classes; import it with --labels"
            )
        labels, scores = classify_pictures(classifier, _followed(pictures, stderr), top)
        found = [[landmark_class(classifier, label, names) for label in row] for row in labels.tolist()]
    if as_json:
        results = [
            {
                **picture_entry(path, sizes),
                "classes": [
                    {
                        "rank": rank,
                        "label": one.label,
                        "landmark_id": one.landmark_id,
                        "category": one.category,
                        "score": score,
                    }
                    for rank, (one, score) in enumerate(zip(row, row_scores, strict=True), start=1)
                ],
            }
            for path, row, row_scores in zip(pictures, found, scores.tolist(), strict=True)
        ]
        print_json(model, classifier.name, "classification", results)
        return
    print_landmarks(pictures, found, scores.tolist())


def detect(
    model: DetectorPath,
    pictures: PicturePaths,
    draw: Draw = None,
    min_score: MinScore = 0.1,
    as_json: AsJson = False,
    device: Device = Where.auto,
) -> None:
    """Find objects: boxes with the names of their classes, the best first, and pictures with these boxes drawn.

    Boxes are `[x, y, width, height]` as in COCO, from the left upper corner, in pixels of the upright picture.

    With `--json`: `{"model", "name", "task": "detection", "results": [{"picture", "width", "height", "drawn", "boxes":
    [{"class", "title", "score", "bbox": [x, y, width, height]}, …]}, …]}`. `class` is the machine name of Open Images,
    `drawn` the path of the drawn picture or null.
    """
    with _endings("Pictures that were drawn are kept.") as stderr:
        sizes = _checked(model, pictures)
        from landmarks.detection.checkpoints import load_detector
        from landmarks.detection.drawing import draw_objects, make_folder
        from landmarks.detection.single_images import detect_objects

        if draw is not None:
            make_folder(draw)
        detector = load_detector(model, device.value)
        classes = detector.classes
        results = []
        objects = detect_objects(detector, _followed(pictures, stderr), min_score)
        for path, found in zip(pictures, objects, strict=True):
            drawn = None if draw is None else str(draw_objects(found, classes, path, draw))
            boxes = [
                {"class": str(classes.names[label]), "title": str(classes.titles[label]), "score": score, "bbox": box}
                for label, score, box in zip(found.labels, found.scores.tolist(), found.boxes.tolist(), strict=True)
            ]
            results.append({**picture_entry(path, sizes), "drawn": drawn, "boxes": boxes})
    if as_json:
        print_json(model, detector.name, "detection", results)
    else:
        print_boxes(results)


def _checked(model: Path, pictures: Sequence[Path]) -> dict[Path, Size]:
    """Height and width of each picture, upright; refuses what cannot be used."""
    from landmarks.interop.image_files import check_pictures

    if not model.is_file():
        raise LandmarksError(f"{shown(model)}: there is no such file; name a model first, then pictures")
    return check_pictures(pictures)


def _followed(pictures: Sequence[Path], stderr: Console) -> Iterable[Path]:
    """With a bar where somebody looks."""
    return track(pictures, "", console=stderr, transient=True, disable=not stderr.is_terminal or len(pictures) < 3)


@contextmanager
def _endings(kept: str = "Nothing was written.") -> Iterator[Console]:
    stderr = Console(stderr=True)
    with named_endings(stderr, kept):
        yield stderr
