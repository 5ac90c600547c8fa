"""Images with their boxes, the form in which any data set is passed to a detector's training.

Boxes are flat arrays, image after image, with the offset of each image's boxes: 14.6 million boxes take 0.35 GB, which
forked workers share, and the boxes of an image are a slice.
"""

from dataclasses import dataclass
from enum import IntFlag

import numpy as np
from numpy.typing import NDArray

from landmarks.data import ImageSet
from landmarks.detection.metrics import ranges
from landmarks.errors import LandmarksError
from landmarks.recognition import DetectionClasses


class BoxFlag(IntFlag):
    """Attributes of a box, with the names of the official columns."""

    IsOccluded = 1
    IsTruncated = 2
    IsGroupOf = 4
    IsDepiction = 8
    IsInside = 16


@dataclass(frozen=True, eq=False)
class ImageBoxes:
    """Boxes of N images; those of image i are the rows start[i]:start[i+1].

    Labels int32 [B] are rows of the set's classes, boxes float32 [B, 4] are shares of width and height, and flags are
    sums of `BoxFlag`.
    """

    start: NDArray[np.int64]
    labels: NDArray[np.int32]
    boxes: NDArray[np.float32]
    flags: NDArray[np.uint8]

    def __post_init__(self) -> None:
        count = len(self.labels)
        if self.boxes.shape != (count, 4) or self.flags.shape != (count,) or self.labels.ndim != 1:
            raise LandmarksError(
                f"labels {self.labels.shape}, boxes {self.boxes.shape} and flags {self.flags.shape} must be "
                "[B], [B, 4] and [B]"
            )
        if self.start.ndim != 1 or not len(self.start) or self.start[0] != 0 or self.start[-1] != count:
            raise LandmarksError(f"the boxes of the images must begin at 0 and end at {count}")
        if (np.diff(self.start) < 0).any():
            raise LandmarksError("the boxes of an image end before they begin")

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.start) - 1

    @property
    def group_of(self) -> NDArray[np.bool_]:
        """Whether a box encloses several objects that touch, bool [B]."""
        return (self.flags & np.uint8(BoxFlag.IsGroupOf)) != 0

    def counts(self) -> NDArray[np.int64]:
        """Return the number of boxes of each image, int64 [N]."""
        return np.diff(self.start)

    def of(self, image: int) -> slice:
        """Return the rows of an image's boxes."""
        return slice(int(self.start[image]), int(self.start[image + 1]))

    def take(self, images: NDArray[np.integer] | NDArray[np.bool_]) -> "ImageBoxes":
        """Return the boxes of some images (indices or a mask), in that order."""
        chosen = np.flatnonzero(images) if images.dtype == np.bool_ else images
        counts = self.counts()[chosen]
        start = np.concatenate([[0], np.cumsum(counts)])
        rows = ranges(self.start[chosen], counts)
        return ImageBoxes(start, self.labels[rows], self.boxes[rows], self.flags[rows])


@dataclass(frozen=True, eq=False)
class DetectionSet:
    """Images (in a table without landmarks), their boxes, and the classes of the boxes' labels."""

    images: ImageSet
    boxes: ImageBoxes
    classes: DetectionClasses

    def __post_init__(self) -> None:
        if len(self.images) != len(self.boxes):
            raise LandmarksError(f"there are {len(self.images)} images, but boxes of {len(self.boxes)} images")

    def __len__(self) -> int:
        return len(self.images)

    def take(self, images: NDArray[np.integer] | NDArray[np.bool_]) -> "DetectionSet":
        """Return some of the images (indices or a mask), each at most once, with their boxes."""
        return DetectionSet(self.images.take(images), self.boxes.take(images), self.classes)
