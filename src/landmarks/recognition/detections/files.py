"""Reads sets of detections: what a detector found in some images, which those are, and what made it.

A folder of CSV files that other tools read as well (`tables` says which); nothing is unpickled.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.metrics.errors import FormatError
from landmarks.metrics.hex_ids import hex_of
from landmarks.metrics.lookup import find_rows
from landmarks.recognition.detections.classes import read_classes
from landmarks.recognition.detections.found_objects import FoundObjects
from landmarks.recognition.detections.protocol import DetectionProtocol
from landmarks.recognition.detections.tables import (
    BOXES_FILE,
    CLASSES_FILE,
    IMAGES_FILE,
    PARTIAL_SUFFIX,
    PROTOCOL_FILE,
    Images,
    as_landmarks_error,
    read_boxes,
    read_images,
)


def read_detections(folder: str | Path) -> FoundObjects:
    """Read a finished set.

    Raises:
        LandmarksError: it is missing, unfinished, damaged or cut off; names the file and the line.
    """
    folder = Path(folder)
    if not folder.is_dir():
        unfinished = folder.with_name(folder.name + PARTIAL_SUFFIX)
        if unfinished.is_dir():
            raise LandmarksError(
                f"{folder}: only {unfinished.name} is there: run the same detection again to finish it"
            )
        raise LandmarksError(f"{folder}: no such folder of detections")
    DetectionProtocol.read(folder / PROTOCOL_FILE)
    classes = read_classes(folder / CLASSES_FILE)
    try:
        images = read_images(folder / IMAGES_FILE)
        boxes = read_boxes(folder / BOXES_FILE, classes.names)
    except FormatError as error:
        raise as_landmarks_error(error) from error
    found = FoundObjects(boxes, images.ids[images.readable], classes, str(folder))
    _require_all(folder, images, boxes.image_ids)
    return found


def _require_all(folder: Path, images: Images, image_ids: NDArray[np.uint64]) -> None:
    """A file that was cut off at a line end is well-formed: only the numbers of boxes tell."""
    counts = np.bincount(find_rows(image_ids, images.ids), minlength=len(images.ids))
    wrong = np.flatnonzero(counts != images.boxes)
    if len(wrong):
        row = int(wrong[0])
        raise LandmarksError(
            f"{folder / BOXES_FILE}: picture {hex_of(images.ids[row])} has {counts[row]} boxes, {IMAGES_FILE} says "
            f"{images.boxes[row]}: the files were cut off or changed; detect again"
        )
