"""Boxes that a detector found, as flat arrays: one row per box, images in any order.

Corners are shares of an image's width and height, as in the Open Images files: XMin, YMin, XMax, YMax in [0, 1].
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import FormatError, LandmarksError
from landmarks.ids import find_rows, first_repeat, format_id
from landmarks.recognition.detections.classes import DetectionClasses


@dataclass(frozen=True, eq=False)
class Detections:
    """Boxes found in images.

    Attributes:
        image_ids: uint64 [P], the image of each box.
        labels: int32 [P], rows of `classes`.
        scores: float64 [P], finite.
        boxes: float64 [P, 4], XMin, YMin, XMax, YMax as shares of width and height.
        classes: str [C], machine names such as /m/01fdzj, each once.
    """

    image_ids: NDArray[np.uint64]
    labels: NDArray[np.int32]
    scores: NDArray[np.float64]
    boxes: NDArray[np.float64]
    classes: NDArray[np.str_]

    def __post_init__(self) -> None:
        check_boxes("detections", self.image_ids, self.labels, self.boxes, self.classes)
        if self.scores.shape != self.labels.shape or not np.isfinite(self.scores).all():
            raise FormatError("detections need one finite score per box; give a number")

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> "Detections":
        """Return some of the boxes, given their rows or a mask."""
        return Detections(self.image_ids[rows], self.labels[rows], self.scores[rows], self.boxes[rows], self.classes)


def check_boxes(
    what: str,
    image_ids: NDArray[np.uint64],
    labels: NDArray[np.int32],
    boxes: NDArray[np.float64],
    classes: NDArray[np.str_],
) -> None:
    """Raise a FormatError unless the arrays hold one valid box per row.

    Args:
        what: what the boxes are called in the message.
        image_ids: [P].
        labels: [P], rows of `classes`.
        boxes: [P, 4].
        classes: [C].
    """
    if labels.ndim != 1 or image_ids.shape != labels.shape or boxes.shape != (len(labels), 4):
        raise FormatError(f"{what}: image ids {image_ids.shape}, labels {labels.shape} and boxes {boxes.shape} must be "
                          "[N], [N] and [N, 4]; give one of each per box")  # fmt: skip
    check_labels(what, labels, classes)
    wrong = ~np.isfinite(boxes).all(axis=1) | (boxes[:, 2:] < boxes[:, :2]).any(axis=1)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise FormatError(f"{what}: image {format_id(image_ids[row])} has the box {boxes[row].tolist()}; "
                          "give finite XMin <= XMax and YMin <= YMax")  # fmt: skip


def check_labels(what: str, labels: NDArray[np.int32], classes: NDArray[np.str_]) -> None:
    """Raise a FormatError, which begins with `what`, unless labels are rows of `classes` and classes are unique."""
    names = classes.tolist()
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise FormatError(f"{what}: class {twice} occurs twice; name it once")
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(classes):
        raise FormatError(f"{what}: a label is outside the {len(classes)} classes; give rows of `classes`")


@dataclass(frozen=True, eq=False)
class FoundObjects:
    """The result of a detector on a set of images.

    Attributes:
        boxes: the boxes found, images in any order.
        looked_at: uint64 [N], every image that was processed, each once, including those without boxes.
        classes: `boxes.classes` with their titles.
        name: origin of the detections, for messages.
    """

    boxes: Detections
    looked_at: NDArray[np.uint64]
    classes: DetectionClasses
    name: str = "detections"

    def __post_init__(self) -> None:
        if self.classes.names.tolist() != self.boxes.classes.tolist():
            raise LandmarksError(f"{self.name}: the boxes have other classes ({', '.join(self.boxes.classes[:3])} …)")
        again = first_repeat(self.looked_at)
        if again is not None:
            raise LandmarksError(f"{self.name}: image {format_id(self.looked_at[again])} occurs twice")
        strange = np.flatnonzero(find_rows(self.boxes.image_ids, self.looked_at) < 0)
        if len(strange):
            raise LandmarksError(
                f"{self.name}: image {format_id(self.boxes.image_ids[strange[0]])} has boxes, but is not among the "
                "images that were processed"
            )
