"""Boxes that are true and boxes that were found, as flat arrays: one row a box, pictures in any order.

Corners are shares of a picture's width and height, as in the Open Images files: XMin, YMin, XMax, YMax in [0, 1].
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import FormatError
from landmarks.ids import format_id


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
        FormatError: the arrays do not fit each other, or hold what is no box or score; a class comes twice.
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
        FormatError: the arrays do not fit each other, or hold what is no box; a class comes twice.
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

    def of_images(self, image_ids: NDArray[np.uint64]) -> "BoxTruth":
        """What is known of some pictures; after the first call without a search through all boxes.

        Args:
            image_ids: uint64 [N], each once; nothing may be known of a picture.
        """
        return self._rows(_find(self._box_order, image_ids), _find(self._verified_order, image_ids))

    def of_classes(self, classes: NDArray[np.str_]) -> "BoxTruth":
        """What is known of some classes, which need not occur; labels become rows of `classes`."""
        row_of_name = {name: row for row, name in enumerate(classes.tolist())}
        rows = np.array([row_of_name.get(name, -1) for name in self.classes.tolist()], np.int32)
        boxes, verified = rows[self.labels], rows[self.verified_labels]
        part = self._rows(np.flatnonzero(boxes >= 0), np.flatnonzero(verified >= 0))
        return replace(part, labels=rows[part.labels], verified_labels=rows[part.verified_labels], classes=classes)

    def _rows(self, boxes: NDArray[np.int64], verified: NDArray[np.int64]) -> "BoxTruth":
        return BoxTruth(
            self.image_ids[boxes], self.labels[boxes], self.boxes[boxes], self.group_of[boxes],
            self.verified_image_ids[verified], self.verified_labels[verified], self.present[verified], self.classes,
        )  # fmt: skip

    @cached_property
    def _box_order(self) -> "_Order":
        return _order(self.image_ids)

    @cached_property
    def _verified_order(self) -> "_Order":
        return _order(self.verified_image_ids)


_Order = tuple[NDArray[np.int64], NDArray[np.uint64]]


def _order(image_ids: NDArray[np.uint64]) -> _Order:
    """Rows by picture, those of one picture in their order, and the pictures in that order."""
    order = np.argsort(image_ids, kind="stable")
    return order, image_ids[order]


def _find(by_image: _Order, image_ids: NDArray[np.uint64]) -> NDArray[np.int64]:
    order, ordered = by_image
    first, last = np.searchsorted(ordered, image_ids), np.searchsorted(ordered, image_ids, side="right")
    counts = last - first
    return order[np.arange(counts.sum()) + np.repeat(first - (np.cumsum(counts) - counts), counts)]


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
        raise FormatError(f"{what}: image {format_id(image_ids[row])} has the box {boxes[row].tolist()}; "
                          "give XMin, YMin, XMax, YMax in rising order")  # fmt: skip


def _check_labels(what: str, labels: NDArray[np.int32], classes: NDArray[np.str_]) -> None:
    names = classes.tolist()
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise FormatError(f"{what}: class {twice} comes twice; name it once")
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(classes):
        raise FormatError(f"{what}: a label lies outside the {len(classes)} classes; give rows of `classes`")
