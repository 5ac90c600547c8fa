"""True boxes as flat arrays, with one row per box and images in any order.

Corners are shares of an image's width and height, as in the Open Images files: XMin, YMin, XMax, YMax in [0, 1].
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import FormatError
from landmarks.recognition import check_boxes, check_labels


@dataclass(frozen=True, eq=False)
class BoxTruth:
    """The ground truth of images: boxes, and image-level labels that say which classes were verified.

    Attributes:
        image_ids: Image of each box, uint64 [B].
        labels: Class of each box, int32 [B], rows of `classes`.
        boxes: XMin, YMin, XMax, YMax, float64 [B, 4].
        group_of: Whether the box encloses several objects that touch, bool [B].
        verified_image_ids: Image of each image-level label, uint64 [V].
        verified_labels: Class of each image-level label, int32 [V], rows of `classes`.
        present: Whether the class was verified to be present (confidence 1) or absent (0), bool [V].
        classes: Machine names, unique, str [C].
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
        check_boxes("boxes", self.image_ids, self.labels, self.boxes, self.classes)
        if self.group_of.shape != self.labels.shape:
            raise FormatError("group_of and labels differ in length; give one of each per box")
        if not self.verified_image_ids.shape == self.verified_labels.shape == self.present.shape:
            raise FormatError("image-level labels differ in length; give one image, label and presence each")
        check_labels("image-level labels", self.verified_labels, self.classes)

    def of_images(self, image_ids: NDArray[np.uint64]) -> "BoxTruth":
        """Return the ground truth of some images, each given once; only the first call sorts all boxes."""
        return self._rows(_find(self._box_order, image_ids), _find(self._verified_order, image_ids))

    def of_classes(self, classes: NDArray[np.str_]) -> "BoxTruth":
        """Return the ground truth of some classes, which need not occur; labels become rows of `classes`."""
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
    """Return the rows ordered by image (stable), and the images in that order."""
    order = np.argsort(image_ids, kind="stable")
    return order, image_ids[order]


def _find(by_image: _Order, image_ids: NDArray[np.uint64]) -> NDArray[np.int64]:
    order, ordered = by_image
    first, last = np.searchsorted(ordered, image_ids), np.searchsorted(ordered, image_ids, side="right")
    return order[ranges(first, last - first)]


def ranges(first: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the numbers from first[i] to first[i] + counts[i], end excluded, for all i one after another: int64."""
    return np.arange(counts.sum()) + np.repeat(first - (np.cumsum(counts) - counts), counts)
