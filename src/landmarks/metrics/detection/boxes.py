"""Boxes that are true and boxes that were found, as flat arrays: one row a box, pictures in any order.

Corners are shares of a picture's width and height, as in the Open Images files: XMin, YMin, XMax, YMax in [0, 1].
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landmarks.metrics.errors import FormatError
from landmarks.metrics.hex_ids import hex_of


@dataclass(frozen=True, eq=False)
class Detections:
    """Boxes found in pictures.

    Attributes:
        image_ids: uint64 [P], the picture of each box.
        labels: int32 [P], rows of `classes`.
        scores: float64 [P], finite.
        boxes: float64 [P, 4], XMin, YMin, XMax, YMax.
        classes: str [C], machine names such as /m/01fdzj, each once.

    Raises:
        FormatError: the arrays do not fit each other, or hold what is no box or score.
    """

    image_ids: NDArray[np.uint64]
    labels: NDArray[np.int32]
    scores: NDArray[np.float64]
    boxes: NDArray[np.float64]
    classes: NDArray[np.str_]

    def __post_init__(self) -> None:
        _check_boxes("detections", self.image_ids, self.labels, self.boxes, self.classes)
        if self.scores.shape != self.labels.shape or not np.isfinite(self.scores).all():
            raise FormatError("detections need one finite score a box; give a number")


@dataclass(frozen=True, eq=False)
class BoxTruth:
    """What pictures show: boxes, and which classes were looked for.

    Attributes:
        image_ids: uint64 [B], the picture of each box.
        labels: int32 [B], rows of `classes`.
        boxes: float64 [B, 4], XMin, YMin, XMax, YMax.
        group_of: bool [B], the box holds several objects that touch.
        verified_image_ids: uint64 [V], the picture of each image-level label.
        verified_labels: int32 [V], rows of `classes`.
        present: bool [V], whether the class was found (confidence 1) or found absent (0).
        classes: str [C], machine names, each once.

    Raises:
        FormatError: the arrays do not fit each other, or hold what is no box.
    """

    image_ids: NDArray[np.uint64]
    labels: NDArray[np.int32]
    boxes: NDArray[np.float64]
    group_of: NDArray[np.bool_]
    verified_image_ids: NDArray[np.uint64]
    verified_labels: NDArray[np.int32]
    present: NDArray[np.bool_]
    classes: NDArray[np.str_]

    def __post_init__(self) -> None:
        _check_boxes("boxes", self.image_ids, self.labels, self.boxes, self.classes)
        if self.group_of.shape != self.labels.shape:
            raise FormatError("group_of and labels differ in length; give one of each a box")
        if not self.verified_image_ids.shape == self.verified_labels.shape == self.present.shape:
            raise FormatError("image-level labels differ in length; give one picture, label and presence each")
        _check_labels("image-level labels", self.verified_labels, self.classes)


def _check_boxes(
    what: str,
    image_ids: NDArray[np.uint64],
    labels: NDArray[np.int32],
    boxes: NDArray[np.float64],
    classes: NDArray[np.str_],
) -> None:
    if labels.ndim != 1 or image_ids.shape != labels.shape or boxes.shape != (len(labels), 4):
        raise FormatError(f"{what}: image ids {image_ids.shape}, labels {labels.shape} and boxes {boxes.shape} must be "
                          "[N], [N] and [N, 4]; give one of each a box")  # fmt: skip
    _check_labels(what, labels, classes)
    wrong = ~np.isfinite(boxes).all(axis=1) | (boxes[:, 2:] < boxes[:, :2]).any(axis=1)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise FormatError(f"{what}: image {hex_of(image_ids[row])} has the box {boxes[row].tolist()}; "
                          "give XMin, YMin, XMax, YMax in rising order")  # fmt: skip


def _check_labels(what: str, labels: NDArray[np.int32], classes: NDArray[np.str_]) -> None:
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(classes):
        raise FormatError(f"{what}: a label lies outside the {len(classes)} classes; give rows of `classes`")
