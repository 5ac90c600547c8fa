"""Reads sets of detections: what a detector found in some images, which those are, and what made it.

A folder of CSV files that other tools read as well (`tables` says which); nothing is unpickled.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.ids import find_rows, format_id
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
    read_boxes,
    read_images,
)
from landmarks.storage import ChangedError, check_folder


def read_detections(folder: str | Path) -> FoundObjects:
    """Read a finished set.

    Raises:
        LandmarksError: it is missing, unfinished, damaged or cut off, names the file and the line; or it does not hold
            what was written, where it has checksums, which sets of earlier versions lack.
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
    """A file that was cut off at a line end is well-formed: only the numbers of boxes tell."""
    counts = np.bincount(find_rows(image_ids, images.ids), minlength=len(images.ids))
    wrong = np.flatnonzero(counts != images.boxes)
    if len(wrong):
        row = int(wrong[0])
        raise LandmarksError(
            f"{folder / BOXES_FILE}: picture {format_id(images.ids[row])} has {counts[row]} boxes, {IMAGES_FILE} says "
            f"{images.boxes[row]}: the files were cut off or changed; detect again"
        )
