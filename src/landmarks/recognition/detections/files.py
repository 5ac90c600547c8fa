"""Sets of detections on disk: boxes, the images that were processed, the classes, and the protocol.

A set is a folder of CSV files that other tools can read as well; nothing is unpickled.

``detections.csv``  ImageID,LabelName,Score,XMin,XMax,YMin,YMax: predictions in the format of the Open Images challenges
``images.csv``      ImageID,Boxes,Reason: every image in the same order, its number of boxes, and the reason if it could
                    not be read
``classes.csv``     LabelName,title without a header, the format of Open Images' class-descriptions files
``stamps.csv``      ImageID,Stamp: the versions of the image files that could be read; missing if they are not known
``protocol.json``   how the detections were made
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.ids import find_rows, format_id
from landmarks.recognition.detections.boxes import Detections, FoundObjects
from landmarks.recognition.detections.classes import DetectionClasses, read_classes
from landmarks.retrieval import Protocol
from landmarks.storage import ChangedError, Rows, check_folder, read_rows

BOXES_FILE = "detections.csv"  # one line per box
IMAGES_FILE = "images.csv"  # one line per image, with IMAGE_COLUMNS
CLASSES_FILE = "classes.csv"  # the detector's classes
STAMPS_FILE = "stamps.csv"  # one line per image, with STAMP_COLUMNS
PROTOCOL_FILE = "protocol.json"  # how the detections were made
PARTIAL_SUFFIX = ".partial"  # suffix of the folder while it is written
DETECTIONS = "_detections"  # suffix of the name of a split, in the folder of an extraction

IMAGE_COLUMNS = ("ImageID", "Boxes", "Reason")  # the number of boxes, or why the image could not be read
STAMP_COLUMNS = ("ImageID", "Stamp")  # stamps tell whether an image has changed, see `ImageStore.stamps`
CORNERS = ("XMin", "YMin", "XMax", "YMax")  # columns of a box, in shares of the image's width and height
NAMED_COLUMNS = ("ImageID", "LabelName")  # id of the image, and name of the class
OUTSIDE = 0.5  # share of the image by which a detected box may extend beyond it


@dataclass(frozen=True)
class DetectionProtocol(Protocol):
    """How objects were detected; the same for all images of a set.

    Attributes:
        model: name of the network, such as ``"faster_rcnn_resnet50_fpn"``.
        weights: hash of its parameters.
        input_size: short side of the images in pixels.
        max_size: limit of the long side in pixels.
        score_threshold: boxes of lower scores are left out.
        nms_threshold: overlap (IoU) of boxes of one class above which only the best is kept.
        max_boxes: maximum number of boxes per image.
        data: name of the data set, such as ``"gldv2"``.
        split: ``"queries"`` …
        precision: precision of the arithmetic in the trainer's notation, such as ``"bf16-mixed"``.
        versions: library name to version.
    """

    remedy: ClassVar[str] = "detect again"

    model: str
    weights: str
    input_size: int
    max_size: int
    score_threshold: float
    nms_threshold: float
    max_boxes: int
    data: str = ""
    split: str = ""
    precision: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)


class Images(NamedTuple):
    """Rows of ``images.csv``: ids uint64 [N], numbers of boxes int64 [N], and whether they could be read, bool [N]."""

    ids: NDArray[np.uint64]
    boxes: NDArray[np.int64]
    readable: NDArray[np.bool_]


def classes_text(classes: DetectionClasses) -> bytes:
    """Return the content of ``classes.csv``."""
    return csv_lines(zip(classes.names.tolist(), classes.titles.tolist(), strict=True))


def csv_lines(rows: Iterable[Iterable[object]]) -> bytes:
    """Return rows as lines of a CSV file; no field may hold a line break."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def read_boxes(path: str | Path, classes: NDArray[np.str_] | None = None) -> Detections:
    """Read predicted boxes; a file with only a header has none.

    Args:
        path: the file.
        classes: str [C], the names that may occur, in the order of the labels; by default those that do, sorted.

    Raises:
        FormatError: the file is invalid; names the line and the field.
    """
    known = None if classes is None else set(classes.tolist())
    codes = {} if classes is None else {name: row for row, name in enumerate(classes.tolist())}
    found = []
    for rows in read_rows(Path(path), NAMED_COLUMNS, numbers=("Score", *CORNERS)):
        labels = rows.codes("LabelName", codes)
        if known is not None:
            rows.refuse(labels >= len(known), "LabelName", "is not one of the classes", "give one of their names")
        found.append((rows.ids("ImageID"), labels, rows.numbers("Score"), corners_of(rows, OUTSIDE)))
    names, places = sorted_names(codes) if classes is None else (classes, np.arange(len(classes), dtype=np.int32))
    return Detections(
        image_ids=joined(found, 0, np.empty(0, np.uint64)),
        labels=places[joined(found, 1, np.empty(0, np.int32))],
        scores=joined(found, 2, np.empty(0)),
        boxes=joined(found, 3, np.empty((0, 4))),
        classes=names,
    )


def corners_of(rows: Rows, outside: float) -> NDArray[np.float64]:
    """Return boxes float64 [R, 4], whose sides are not negative and which lie in [-outside, 1 + outside].

    Args:
        rows: rows of a file with the columns CORNERS.
        outside: share of the image by which a box may extend beyond it.

    Raises:
        FormatError: a box violates these rules.
    """
    boxes = np.stack([rows.numbers(name) for name in CORNERS], axis=1)
    remedy = "give shares of the image's width and height"
    for column, name in enumerate(CORNERS):
        values = boxes[:, column]
        problem = "is outside the image" if outside == 0 else "is far outside the image"
        rows.refuse((values < -outside) | (values > 1 + outside), name, problem, remedy)
    for low, high in ((0, 2), (1, 3)):
        smaller = boxes[:, high] < boxes[:, low]
        rows.refuse(smaller, CORNERS[high], f"is less than {CORNERS[low]}", "give the smaller value first")
    return boxes


def joined(parts: Sequence[tuple[NDArray[Any], ...]], column: int, empty: NDArray[Any]) -> NDArray[Any]:
    """Concatenate one column of all blocks; `empty` is the result without any."""
    return np.concatenate([empty, *(part[column] for part in parts)])


def sorted_names(codes: Mapping[str, int]) -> tuple[NDArray[np.str_], NDArray[np.int32]]:
    """Return the names sorted, str [C], and the place of each code among them, int32 [C]."""
    names = np.array(list(codes), np.str_)
    order = np.argsort(names)
    places = np.empty(len(names), np.int32)
    places[order] = np.arange(len(names))
    return names[order], places


def read_images(path: Path) -> Images:
    """Read ``images.csv``; raise a FormatError that names the line and the field if it is invalid."""
    parts = [Images(np.empty(0, np.uint64), np.empty(0, np.int64), np.empty(0, np.bool_))]
    for rows in read_rows(path, IMAGE_COLUMNS):
        counts = rows.whole_numbers("Boxes")
        rows.refuse(counts < 0, "Boxes", "is not a number of boxes", "write a whole number, 0 or more")
        readable = (rows.fields["Reason"] == "").to_numpy()
        rows.refuse(~readable & (counts > 0), "Boxes", "boxes, though the image could not be read", "write 0")
        parts.append(Images(rows.ids("ImageID"), counts, readable))
    return Images(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def read_detections(folder: str | Path) -> FoundObjects:
    """Read a finished set.

    Raises:
        LandmarksError: the set is missing, unfinished, corrupt or truncated, or does not match its checksums.
    """
    folder = Path(folder)
    if not folder.is_dir():
        unfinished = folder.with_name(folder.name + PARTIAL_SUFFIX)
        if unfinished.is_dir():
            raise LandmarksError(
                f"{folder}: unfinished, there is only {unfinished.name}: run the same detection again to finish it"
            )
        raise LandmarksError(f"{folder}: there is no folder of detections")
    DetectionProtocol.read(folder / PROTOCOL_FILE)
    classes = read_classes(folder / CLASSES_FILE)
    images = read_images(folder / IMAGES_FILE)
    boxes = read_boxes(folder / BOXES_FILE, classes.names)
    found = FoundObjects(boxes, images.ids[images.readable], classes, str(folder))
    _require_all(folder, images, boxes.image_ids)
    try:
        check_folder(folder)
    except (ChangedError, OSError) as error:
        raise LandmarksError(f"{error}; detect again") from error
    return found


def _require_all(folder: Path, images: Images, image_ids: NDArray[np.uint64]) -> None:
    """Check the numbers of boxes, which detects a file that was truncated at a line end."""
    counts = np.bincount(find_rows(image_ids, images.ids), minlength=len(images.ids))
    wrong = np.flatnonzero(counts != images.boxes)
    if len(wrong):
        row = int(wrong[0])
        raise LandmarksError(
            f"{folder / BOXES_FILE}: image {format_id(images.ids[row])} has {counts[row]} boxes, {IMAGES_FILE} says "
            f"{images.boxes[row]}: the files were truncated or changed; detect again"
        )
