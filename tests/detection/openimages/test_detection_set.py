import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks.data import ImageSet, ImageTable
from landmarks.data.stores import FlatFolderStore
from landmarks.detection.openimages import DetectionSet, ImageBoxes
from landmarks.errors import LandmarksError
from landmarks.recognition.detections import DetectionClasses

CLASSES = DetectionClasses(np.array(["/m/01"]), np.array(["Tower"]))


def made(counts: list[int]) -> ImageBoxes:
    """Boxes whose label is their number."""
    total = sum(counts)
    boxes = np.tile(np.arange(total, dtype=np.float32)[:, None], (1, 4))
    start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return ImageBoxes(start, np.arange(total, dtype=np.int32), boxes, (np.arange(total) % 32).astype(np.uint8))


@given(counts=st.lists(st.integers(0, 4), max_size=8), data=st.data())
def test_parts_hold_the_boxes_of_their_images(counts: list[int], data: st.DataObject) -> None:
    whole = made(counts)
    chosen = np.array(data.draw(st.permutations(range(len(counts))))[: len(counts) // 2], dtype=np.int64)
    part = whole.take(chosen)
    assert len(part) == len(chosen)
    for place, image in enumerate(chosen.tolist()):
        assert part.labels[part.of(place)].tolist() == whole.labels[whole.of(image)].tolist()
    np.testing.assert_array_equal(part.boxes[:, 0], part.labels)
    np.testing.assert_array_equal(part.flags, part.labels % 32)


def test_groups() -> None:
    assert made([5, 6]).group_of.tolist() == [(number & 4) != 0 for number in range(11)]


def test_masks_and_rows_choose_alike(tmp_path: object) -> None:
    images = ImageSet(ImageTable.unlabelled(np.arange(3, dtype=np.uint64)), FlatFolderStore(str(tmp_path)))
    whole = DetectionSet(images, made([1, 2, 3]), CLASSES)
    by_rows, by_mask = whole.take(np.array([0, 2])), whole.take(np.array([True, False, True]))
    assert by_rows.boxes.labels.tolist() == by_mask.boxes.labels.tolist() == [0, 3, 4, 5]
    assert by_rows.images.table.ids.tolist() == [0, 2] and len(by_mask) == 2
    with pytest.raises(LandmarksError, match="3 images, but boxes of 2"):
        DetectionSet(images, made([1, 2]), CLASSES)


@pytest.mark.parametrize("start", [[1, 2], [0, 1], [], [0, 2, 1, 2]])
def test_images_must_cover_all_boxes(start: list[int]) -> None:
    boxes = made([2])
    with pytest.raises(LandmarksError, match=r"begin at 0 and end at 2|end before they begin"):
        ImageBoxes(np.array(start, dtype=np.int64), boxes.labels, boxes.boxes, boxes.flags)
    with pytest.raises(LandmarksError, match=r"must be \[B\], \[B, 4\] and \[B\]"):
        ImageBoxes(boxes.start, boxes.labels, boxes.boxes[:1], boxes.flags)
