from typing import Any

import albumentations as A  # noqa: N812 - the name its users know
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks.detection.openimages import BoxAugmentation
from landmarks.errors import LandmarksError

FLIPS = BoxAugmentation([A.HorizontalFlip(p=0.5), A.VerticalFlip(p=0.5), A.Transpose(p=0.5)])
CROP = BoxAugmentation([A.HorizontalFlip(p=0.5), A.RandomCrop(30, 40, p=1.0)], min_visibility=0.3)
SAFE = BoxAugmentation([A.RandomSizedBBoxSafeCrop(45, 45, p=1.0, erosion_rate=0.0)], min_visibility=0.0)
SIDE = st.integers(0, 12)


@st.composite
def images(draw: Any) -> tuple[np.ndarray, np.ndarray]:
    """A black image with one to three coloured rectangles in a channel each, and their boxes."""
    height, width = draw(st.integers(40, 60)), draw(st.integers(40, 60))
    image = np.zeros((height, width, 3), np.uint8)
    boxes = []
    for channel in range(draw(st.integers(1, 3))):
        left, top = draw(st.integers(0, width - 6)), draw(st.integers(0, height - 6))
        right, bottom = draw(st.integers(left + 5, width)), draw(st.integers(top + 5, height))
        image[top:bottom, left:right, channel] = 255
        boxes.append([left, top, right, bottom])
    return image, np.array(boxes, dtype=np.float32)


def content(image: np.ndarray, channel: int) -> np.ndarray:
    """The box around what is bright in a channel."""
    rows, columns = np.nonzero(image[..., channel] > 127)
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], dtype=float)


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    shared = np.prod(np.maximum(sides, 0))
    return float(shared / (np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2]) - shared))


@given(sample=images(), seed=st.integers(0, 2**63 - 1))
def test_boxes_follow_their_content(sample: tuple[np.ndarray, np.ndarray], seed: int) -> None:
    image, boxes = sample
    flipped = FLIPS(image, boxes, seed)
    assert flipped.rows.tolist() == list(range(len(boxes)))
    for box, channel in zip(flipped.boxes, flipped.rows, strict=True):
        assert overlap(box, content(flipped.image, channel)) > 0.999
    cropped = CROP(image, boxes, seed)
    assert cropped.image.shape == (30, 40, 3) and set(cropped.rows) <= set(range(len(boxes)))
    for box, channel in zip(cropped.boxes, cropped.rows, strict=True):
        assert overlap(box, content(cropped.image, channel)) > 0.999
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    for channel in set(range(len(boxes))) - set(cropped.rows.tolist()):  # too little is left of it
        assert np.count_nonzero(cropped.image[..., channel]) <= 0.3 * areas[channel]
    safe = SAFE(image, boxes, seed)
    assert safe.rows.tolist() == list(range(len(boxes)))
    for box, channel in zip(safe.boxes, safe.rows, strict=True):
        assert overlap(box, content(safe.image, channel)) > 0.7  # a resize blurs borders by a pixel
    again = FLIPS(image, boxes, seed)
    np.testing.assert_array_equal(again.image, flipped.image)
    np.testing.assert_array_equal(again.boxes, flipped.boxes)


def test_a_flip_happens_in_half_of_the_draws() -> None:
    flip = BoxAugmentation([A.HorizontalFlip(p=0.5)])
    image, box = np.zeros((40, 40, 3), np.uint8), np.array([[0, 0, 10, 10]], dtype=np.float32)
    flipped = sum(flip(image, box, seed).boxes[0, 0] > 0 for seed in range(200))
    assert 70 < flipped < 130


def test_images_without_boxes_and_no_transforms() -> None:
    none = np.empty((0, 4), np.float32)
    image = np.arange(40 * 40 * 3, dtype=np.uint8).reshape(40, 40, 3)
    for augmentation in (FLIPS, CROP, BoxAugmentation([]), BoxAugmentation([A.ToGray(p=1.0)])):
        out = augmentation(image, none, 3)
        assert out.boxes.shape == (0, 4) and out.boxes.dtype == np.float32 and out.rows.shape == (0,)
    np.testing.assert_array_equal(BoxAugmentation([])(image, none, 3).image, image)


def test_boxes_at_the_border_survive_rounding() -> None:
    share = np.array([[0.999999, 0.0, 1.0, 1.0]], dtype=np.float32)
    boxes = share * np.array([1023, 767] * 2, dtype=np.float32)
    assert len(FLIPS(np.zeros((767, 1023, 3), np.uint8), boxes, 0).boxes) == 1


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("HorizontalFlip", {"strength": 3}, "HorizontalFlip has no argument 'strength'"),
        ("Normalize", {}, "instead of uint8"),
        ("RandomCrop", {"height": 200, "width": 200}, "fails on an image of 80 x 60"),
    ],
)
@pytest.mark.filterwarnings("ignore:Argument")
def test_lists_that_cannot_work(name: str, options: dict[str, int], message: str) -> None:
    transform = getattr(A, name)(**options)
    for transforms in ([transform], [A.HorizontalFlip(p=0.5), A.OneOf([transform], p=1.0)]):
        with pytest.raises(LandmarksError, match=message):
            BoxAugmentation(transforms)
