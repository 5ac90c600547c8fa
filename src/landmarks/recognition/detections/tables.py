"""The files of a set of detections: boxes, the pictures that were looked at, and the classes.

``detections.csv``  ImageID,LabelName,Score,XMin,XMax,YMin,YMax: predictions in the format of the Open Images challenges
``images.csv``      ImageID,Boxes,Reason: every picture in the same order, how many boxes it has, and where it could
                    not be read, why not
``classes.csv``     LabelName,title without a header, the format of Open Images' class-descriptions files
``protocol.json``   what made them
"""

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from landmarks.recognition.detections.classes import DetectionClasses
from landmarks.storage.csv import read_rows

BOXES_FILE = "detections.csv"
IMAGES_FILE = "images.csv"
CLASSES_FILE = "classes.csv"
PROTOCOL_FILE = "protocol.json"
PARTIAL_SUFFIX = ".partial"

IMAGE_COLUMNS = ("ImageID", "Boxes", "Reason")


class Images(NamedTuple):
    """Rows of ``images.csv``.

    Attributes:
        ids: uint64 [N].
        boxes: int64 [N], how many boxes each has.
        readable: bool [N].
    """

    ids: NDArray[np.uint64]
    boxes: NDArray[np.int64]
    readable: NDArray[np.bool_]


def classes_text(classes: DetectionClasses) -> bytes:
    """The content of ``classes.csv``."""
    return csv_lines(zip(classes.names.tolist(), classes.titles.tolist(), strict=True))


def csv_lines(rows: Iterable[Iterable[object]]) -> bytes:
    """Rows as lines of a CSV file; no field may hold a line break."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def read_images(path: Path) -> Images:
    """Read ``images.csv``.

    Raises:
        FormatError: names the file, the line and the field.
    """
    parts = [Images(np.empty(0, np.uint64), np.empty(0, np.int64), np.empty(0, np.bool_))]
    for rows in read_rows(path, IMAGE_COLUMNS):
        counts = rows.whole_numbers("Boxes")
        rows.refuse(counts < 0, "Boxes", "is no number of boxes", "write a whole number of 0 and more")
        readable = (rows.fields["Reason"] == "").to_numpy()
        rows.refuse(~readable & (counts > 0), "Boxes", "boxes, though the image could not be read", "write 0")
        parts.append(Images(rows.ids("ImageID"), counts, readable))
    return Images(*(np.concatenate(values) for values in zip(*parts, strict=True)))
