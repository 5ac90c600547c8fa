"""The CSV files of Open Images: boxes, image-level labels, and predicted boxes.

boxes:        ImageID,LabelName,XMin,XMax,YMin,YMax,IsGroupOf
image labels: ImageID,LabelName,Confidence       1 the class is verified to be in the image, 0 to be absent
predictions:  ImageID,LabelName,Score,XMin,XMax,YMin,YMax

The official files have more columns, which are ignored. Corners are shares of the width and height. A true box lies in
[0, 1]; a predicted one may extend beyond the image, but by no more than half an image, since it is then most likely in
pixels. Format: https://storage.googleapis.com/openimages/web/download.html
"""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from landmarks.detection.metrics.boxes import BoxTruth
from landmarks.errors import FormatError
from landmarks.ids import format_ids
from landmarks.recognition import CORNERS, NAMED_COLUMNS, Detections, corners_of, joined, sorted_names
from landmarks.storage import Rows, atomic_file, read_rows

DETECTIONS_HEADER = "ImageID,LabelName,Score,XMin,XMax,YMin,YMax\n"  # first line of the official files of detections

_WRITE_ROWS = 1 << 16


def read_truth(boxes: str | Path, image_labels: str | Path) -> BoxTruth:
    """Read boxes and image-level labels.

    Args:
        boxes: CSV file of the boxes.
        image_labels: CSV file of the image-level labels.

    Returns:
        The ground truth, with the classes that occur in either file, sorted.

    Raises:
        FormatError: A file is invalid or there are no boxes; names the file, the line and the field.
    """
    codes: dict[str, int] = {}
    true = [
        (
            rows.ids("ImageID"),
            rows.codes("LabelName", codes),
            corners_of(rows, outside=0),
            _one_of(rows, "IsGroupOf", 0, 1, -1),
        )
        for rows in read_rows(Path(boxes), NAMED_COLUMNS, numbers=(*CORNERS, "IsGroupOf"))
    ]
    if not true:
        raise FormatError.at(Path(boxes), "it contains no boxes", "give the boxes of the images to evaluate")
    verified = [
        (rows.ids("ImageID"), rows.codes("LabelName", codes), _one_of(rows, "Confidence", 0, 1))
        for rows in read_rows(Path(image_labels), NAMED_COLUMNS, numbers=("Confidence",))
    ]
    classes, places = sorted_names(codes)
    return BoxTruth(
        image_ids=joined(true, 0, np.empty(0, np.uint64)),
        labels=places[joined(true, 1, np.empty(0, np.int32))],
        boxes=joined(true, 2, np.empty((0, 4))),
        group_of=joined(true, 3, np.empty(0)) == 1,  # -1 is for unknown
        verified_image_ids=joined(verified, 0, np.empty(0, np.uint64)),
        verified_labels=places[joined(verified, 1, np.empty(0, np.int32))],
        present=joined(verified, 2, np.empty(0)) == 1,
        classes=classes,
    )


def write_detections_csv(path: str | Path, detections: Detections) -> None:
    """Write predicted boxes in the format of predictions, atomically; numbers are written without loss of precision."""
    with atomic_file(Path(path)) as file:
        file.write(DETECTIONS_HEADER.encode())
        for lines in detection_lines(detections):
            file.write(lines)


def detection_lines(detections: Detections) -> Iterator[bytes]:
    """Yield lines in the format of predictions without the header, some thousands at a time."""
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


def _one_of(rows: Rows, column: str, *allowed: int) -> NDArray[np.float64]:
    values = rows.numbers(column)
    listed = ", ".join(map(str, allowed))
    rows.refuse(~np.isin(values, allowed), column, f"is none of {listed}", f"write one of {listed}")
    return values
