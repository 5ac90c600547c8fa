"""What a detector found, and where it looked: a picture without boxes was perhaps never opened."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.ids import find_rows, first_repeat, format_id
from landmarks.recognition.detections.boxes import Detections
from landmarks.recognition.detections.classes import DetectionClasses


@dataclass(frozen=True, eq=False)
class FoundObjects:
    """Boxes in pictures that a detector looked at.

    Attributes:
        boxes: the boxes, pictures in any order.
        looked_at: uint64 [N], every picture that was read and searched, each once; in some nothing is found.
        classes: `boxes.classes` with what people call them.
        name: where they come from, for messages.

    Raises:
        LandmarksError: a picture is named twice, has boxes without being looked at, or the classes are other ones than
            those of the boxes.
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
            raise LandmarksError(f"{self.name}: picture {format_id(self.looked_at[again])} was looked at twice")
        strange = np.flatnonzero(find_rows(self.boxes.image_ids, self.looked_at) < 0)
        if len(strange):
            raise LandmarksError(
                f"{self.name}: picture {format_id(self.boxes.image_ids[strange[0]])} has boxes, but is not among those "
                "looked at"
            )
