from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from landmarks.recognition import covered_area

GRID = 16


@given(counts=st.lists(st.integers(0, 12), max_size=6), seed=st.integers(0, 2**32 - 1))
def test_equals_counting_pixels(counts: list[int], seed: int) -> None:
    """Corners on a grid, some outside the picture, so that pixels count exactly."""
    rng = np.random.default_rng(seed)
    corners = np.sort(rng.integers(-3, GRID + 4, (sum(counts), 2, 2)), axis=1).reshape(-1, 4)
    start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    expected = []
    for first, last in pairwise(start):
        pixels = np.zeros((GRID, GRID), bool)
        for left, top, right, bottom in np.clip(corners[first:last], 0, GRID):
            pixels[top:bottom, left:right] = True
        expected.append(pixels.mean())
    np.testing.assert_array_equal(covered_area(corners / GRID, start), expected)


def test_fractions_and_many_boxes() -> None:
    rng = np.random.default_rng(0)
    boxes = np.sort(rng.random((100, 2, 2)) * 0.3 + rng.random((100, 1, 2)) * 0.7, axis=1).reshape(-1, 4)
    points = rng.random((20000, 2))
    inside = ((points[:, None] >= boxes[:, :2]) & (points[:, None] < boxes[:, 2:])).all(axis=2).any(axis=1)
    area = covered_area(boxes, np.array([0, 100]))[0]
    assert abs(area - inside.mean()) < 0.02
    assert covered_area(np.vstack([boxes, boxes[::-1]]), np.array([0, 200]))[0] == area
