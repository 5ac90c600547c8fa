"""The CSV files of Open Images: boxes, image-level labels, and predicted boxes.

boxes:        ImageID,LabelName,XMin,XMax,YMin,YMax,IsGroupOf
image labels: ImageID,LabelName,Confidence       1 the class is in the picture, 0 it was looked for and is not
predictions:  ImageID,LabelName,Score,XMin,XMax,YMin,YMax

The official files have more columns, which are passed over. Corners are shares of the width and height. A true
box lies in [0, 1]; a predicted one is taken as it is, also where it sticks out, but no further than half a picture,
beyond which it is most likely in pixels. Format: https://storage.googleapis.com/openimages/web/download.html
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from landmarks.detection.metrics.boxes import BoxTruth, Detections
from landmarks.errors import FormatError
from landmarks.ids import format_ids
from landmarks.storage.atomic_file import atomic_file
from landmarks.storage.csv import read_rows
from landmarks.storage.csv_rows import Rows

DETECTIONS_HEADER = "ImageID,LabelName,Score,XMin,XMax,YMin,YMax\n"

_CORNERS = ("XMin", "YMin", "XMax", "YMax")
_NAMED = ("ImageID", "LabelName")
_OUTSIDE = 0.5  # shares of the picture by which a prediction may stick out
_WRITE_ROWS = 1 << 16


def read_truth(boxes: str | Path, image_labels: str | Path) -> BoxTruth:
    """Read boxes and image-level labels; the classes are those that either file names, sorted.

    Raises:
        FormatError: names the file, the line and the field; also where there is no box at all.
    """
    codes: dict[str, int] = {}
    true = [
        (rows.ids("ImageID"), rows.codes("LabelName", codes), _corners(rows, 0), _one_of(rows, "IsGroupOf", 0, 1, -1))
        for rows in read_rows(Path(boxes), _NAMED, numbers=(*_CORNERS, "IsGroupOf"))
    ]
    if not true:
        raise FormatError.at(Path(boxes), "there is no box in it", "give the boxes of the pictures to score")
    verified = [
        (rows.ids("ImageID"), rows.codes("LabelName", codes), _one_of(rows, "Confidence", 0, 1))
        for rows in read_rows(Path(image_labels), _NAMED, numbers=("Confidence",))
    ]
    classes, places = _sorted_names(codes)
    return BoxTruth(
        image_ids=_joined(true, 0, np.empty(0, np.uint64)),
        labels=places[_joined(true, 1, np.empty(0, np.int32))],
        boxes=_joined(true, 2, np.empty((0, 4))),
        group_of=_joined(true, 3, np.empty(0)) == 1,  # -1 is for unknown
        verified_image_ids=_joined(verified, 0, np.empty(0, np.uint64)),
        verified_labels=places[_joined(verified, 1, np.empty(0, np.int32))],
        present=_joined(verified, 2, np.empty(0)) == 1,
        classes=classes,
    )


def read_detections(path: str | Path, classes: NDArray[np.str_] | None = None) -> Detections:
    """Read predicted boxes. A file of a header alone holds none.

    Args:
        path: the file.
        classes: str [C], the names that may occur, which labels are rows of; by default those that do, sorted.

    Raises:
        FormatError: names the file, the line and the field.
    """
    known = None if classes is None else set(classes.tolist())
    codes = {} if classes is None else {name: row for row, name in enumerate(classes.tolist())}
    found = []
    for rows in read_rows(Path(path), _NAMED, numbers=("Score", *_CORNERS)):
        labels = rows.codes("LabelName", codes)
        if known is not None:
            rows.refuse(labels >= len(known), "LabelName", "is none of the classes", "give one of their names")
        found.append((rows.ids("ImageID"), labels, rows.numbers("Score"), _corners(rows, _OUTSIDE)))
    names, places = _sorted_names(codes) if classes is None else (classes, np.arange(len(classes), dtype=np.int32))
    return Detections(
        image_ids=_joined(found, 0, np.empty(0, np.uint64)),
        labels=places[_joined(found, 1, np.empty(0, np.int32))],
        scores=_joined(found, 2, np.empty(0)),
        boxes=_joined(found, 3, np.empty((0, 4))),
        classes=names,
    )


def write_detections_csv(path: str | Path, detections: Detections) -> None:
    """Write predicted boxes in the format of predictions, whole or not at all; every number comes back exactly."""
    with atomic_file(Path(path)) as file:
        file.write(DETECTIONS_HEADER.encode())
        for lines in detection_lines(detections):
            file.write(lines)


def detection_lines(detections: Detections) -> Iterator[bytes]:
    """Lines of the format of predictions without the header, to be appended to a file, some thousands at a time."""
    for first in range(0, len(detections.labels), _WRITE_ROWS):
        part = slice(first, first + _WRITE_ROWS)
        left, top, right, bottom = detections.boxes[part].T
        table = pl.DataFrame({
            "ImageID": format_ids(detections.image_ids[part]),
            "LabelName": detections.classes[detections.labels[part]],
            "Score": detections.scores[part],
            "XMin": left, "XMax": right, "YMin": top, "YMax": bottom,
        })  # fmt: skip
        lines = io.BytesIO()
        table.write_csv(lines, include_header=False)
        yield lines.getvalue()


def _corners(rows: Rows, outside: float) -> NDArray[np.float64]:
    """Boxes float64 [R, 4] that have no negative side and lie in [-outside, 1 + outside]."""
    boxes = np.stack([rows.numbers(name) for name in _CORNERS], axis=1)
    remedy = "give shares of the picture's width and height"
    for column, name in enumerate(_CORNERS):
        values = boxes[:, column]
        problem = "is outside the picture" if outside == 0 else "is far outside the picture"
        rows.refuse((values < -outside) | (values > 1 + outside), name, problem, remedy)
    for low, high in ((0, 2), (1, 3)):
        smaller = boxes[:, high] < boxes[:, low]
        rows.refuse(smaller, _CORNERS[high], f"is less than {_CORNERS[low]}", "give the smaller value first")
    return boxes


def _one_of(rows: Rows, column: str, *allowed: int) -> NDArray[np.float64]:
    values = rows.numbers(column)
    listed = ", ".join(map(str, allowed))
    rows.refuse(~np.isin(values, allowed), column, f"is none of {listed}", f"write one of {listed}")
    return values


def _joined(parts: Sequence[tuple[NDArray[Any], ...]], column: int, empty: NDArray[Any]) -> NDArray[Any]:
    """One column of all blocks; `empty` has the dtype and shape of none."""
    return np.concatenate([empty, *(part[column] for part in parts)])


def _sorted_names(codes: Mapping[str, int]) -> tuple[NDArray[np.str_], NDArray[np.int32]]:
    """The names in order, str [C], and the place of each code among them, int32 [C]."""
    names = np.array(list(codes), np.str_)
    order = np.argsort(names)
    places = np.empty(len(names), np.int32)
    places[order] = np.arange(len(names))
    return names[order], places
