import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from landmarks.detection.openimages import DetectionResize
from landmarks.errors import LandmarksError


@pytest.mark.parametrize("size", [(768, 1024), (1024, 768), (300, 300), (200, 900), (37, 53)])
def test_sizes_are_those_of_torchvision(size: tuple[int, int]) -> None:
    transform = GeneralizedRCNNTransform(80, 133, [0.0] * 3, [1.0] * 3)
    theirs = transform.resize(torch.zeros(3, *size), None)[0].shape[1:]
    ours = DetectionResize(80, 133).shape(*size)
    assert all(abs(one - other) <= 1 for one, other in zip(ours, theirs, strict=True))  # it rounds down


@given(height=st.integers(1, 5000), width=st.integers(1, 5000))
def test_no_side_is_too_long_and_one_limit_is_reached(height: int, width: int) -> None:
    resize = DetectionResize(800, 1333)
    rows, columns = resize.shape(height, width)
    assert 1 <= min(rows, columns) <= 800 and max(rows, columns) <= 1333
    assert min(rows, columns) == 800 or max(rows, columns) == 1333
    assert resize.scale(height, width) * max(height, width) == pytest.approx(max(rows, columns), abs=0.5)


def test_fine_lines_do_not_alias() -> None:
    lines = np.zeros((400, 400, 3), np.uint8)
    lines[:, ::2] = 255
    small = DetectionResize(100, 100)(lines)
    assert small.shape == (100, 100, 3) and np.ptp(small) <= 1 and abs(small.mean() - 127.5) < 1
    same = DetectionResize(400, 400)(lines)
    assert same is lines
    large = DetectionResize(800, 800)(lines)
    np.testing.assert_array_equal(large, cv2.resize(lines, (800, 800), interpolation=cv2.INTER_LINEAR))


@pytest.mark.parametrize(("short", "long"), [(0, 10), (800, 700)])
def test_impossible_sizes(short: int, long: int) -> None:
    with pytest.raises(LandmarksError, match=r"data\.image_size .* and data\.max_size"):
        DetectionResize(short, long)
