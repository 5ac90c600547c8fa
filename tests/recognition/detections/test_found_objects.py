import dataclasses

import numpy as np
import pytest

from found import CLASSES, found_objects
from landmarks.errors import LandmarksError
from landmarks.recognition.detections import DetectionClasses

CORNERS = (0.0, 0.0, 1.0, 1.0)


def test_a_picture_is_looked_at_once_and_before_it_has_boxes() -> None:
    assert len(found_objects([], [3]).boxes.scores) == 0
    with pytest.raises(LandmarksError, match="0000000000000007 was looked at twice"):
        found_objects([], [7, 7])
    with pytest.raises(LandmarksError, match="0000000000000002 has boxes, but"):
        found_objects([(2, "Dog", 0.5, CORNERS)], [1])


def test_classes_are_those_of_the_boxes() -> None:
    others = DetectionClasses(CLASSES.names[::-1], CLASSES.titles)
    with pytest.raises(LandmarksError, match="other classes"):
        dataclasses.replace(found_objects([], [1]), classes=others, looked_at=np.array([1], np.uint64))
