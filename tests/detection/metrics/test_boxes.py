"""Flat arrays of boxes: what they refuse, and parts of them."""

from typing import Any

import numpy as np
import pytest

from landmarks.detection.metrics import BoxTruth
from landmarks.errors import FormatError
from landmarks.recognition.detections import Detections

CLASSES = np.array(["/m/a", "/m/b"])
BOX = [0.1, 0.2, 0.3, 0.4]


def truth(**changes: Any) -> BoxTruth:
    fields: dict[str, Any] = {
        "image_ids": np.array([7, 3, 7, 9], np.uint64),
        "labels": np.array([0, 1, 1, 0], np.int32),
        "boxes": np.array([BOX] * 4) + np.arange(4)[:, None] / 10,
        "group_of": np.array([False, True, False, False]),
        "verified_image_ids": np.array([5, 7, 3], np.uint64),
        "verified_labels": np.array([0, 1, 1], np.int32),
        "present": np.array([False, True, True]),
        "classes": CLASSES,
    }
    return BoxTruth(**(fields | changes))


def detections(**changes: Any) -> Detections:
    fields: dict[str, Any] = {
        "image_ids": np.array([7, 3], np.uint64),
        "labels": np.array([0, 1], np.int32),
        "scores": np.array([0.5, 0.25]),
        "boxes": np.array([BOX, BOX]),
        "classes": CLASSES,
    }
    return Detections(**(fields | changes))


@pytest.mark.parametrize(
    ("made", "changes", "message"),
    [
        (detections, {"scores": np.array([0.5, np.nan])}, "one finite score"),
        (detections, {"scores": np.array([0.5])}, "one finite score"),
        (detections, {"labels": np.array([0, 2], np.int32)}, "outside the 2 classes"),
        (detections, {"labels": np.array([0, -1], np.int32)}, "outside the 2 classes"),
        (detections, {"boxes": np.zeros((2, 3))}, r"\[N\], \[N\] and \[N, 4\]"),
        (detections, {"boxes": np.array([BOX, [0.3, 0, 0.2, 1]])}, "image 0000000000000003 has the box"),
        (detections, {"boxes": np.array([BOX, [0, 0, np.inf, 1]])}, "image 0000000000000003 has the box"),
        (detections, {"classes": np.array(["/m/a", "/m/a"])}, "class /m/a occurs twice"),
        (truth, {"group_of": np.zeros(3, np.bool_)}, "group_of and labels differ"),
        (truth, {"present": np.zeros(2, np.bool_)}, "image-level labels differ in length"),
        (truth, {"verified_labels": np.array([0, 1, 2], np.int32)}, "image-level labels: a label is outside"),
        (truth, {"image_ids": np.zeros(1, np.uint64)}, "boxes: image ids"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(made: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(FormatError, match=message):
        made(**changes)


def test_what_is_known_of_some_images() -> None:
    whole = truth()
    part = whole.of_images(np.array([7, 5, 1], np.uint64))
    assert part.image_ids.tolist() == [7, 7]
    assert part.labels.tolist() == [0, 1]  # in the order of the file
    assert part.boxes.tolist() == whole.boxes[[0, 2]].tolist()
    assert part.verified_image_ids.tolist() == [7, 5]
    assert part.present.tolist() == [True, False]
    assert len(whole.of_images(np.empty(0, np.uint64)).labels) == 0
    assert part.of_images(np.array([3], np.uint64)).verified_labels.tolist() == []


def test_what_is_known_of_some_classes() -> None:
    part = truth().of_classes(np.array(["/m/b", "/m/c"]))
    assert part.classes.tolist() == ["/m/b", "/m/c"]
    assert part.image_ids.tolist() == [3, 7]
    assert part.labels.tolist() == [0, 0]
    assert part.group_of.tolist() == [True, False]
    assert part.verified_image_ids.tolist() == [7, 3]
    assert part.verified_labels.tolist() == [0, 0]
