import numpy as np
import pytest

from landmarks.errors import LandmarksError
from landmarks.report.matches import draw_matches


def grey(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 120, np.uint8)


def points(*values: tuple[float, float]) -> np.ndarray:
    return np.array(values, np.float32).reshape(-1, 2)


def test_a_line_joins_points_that_agree_and_no_others() -> None:
    first, second = points((10, 50), (80, 20)), points((20, 50), (100, 90))
    left, right = grey(100, 100), grey(100, 200)
    both = np.asarray(draw_matches(left, right, first, second, np.array([True, False])), int)
    none = np.asarray(draw_matches(left, right, first, second, np.array([False, False])), int)
    # Half-way between the pictures, on the line and off it: both points lie in the middle of their pictures' heights.
    gap = slice(16 + 420 + 5, 16 + 420 + 18)
    assert both.shape == none.shape
    saturation = both.max(axis=2) - both.min(axis=2)
    assert saturation[16 + 190 : 16 + 230, gap].max() > 100
    assert saturation[16 + 250 : 400, gap].max() < 10
    assert (none.max(axis=2) - none.min(axis=2))[: 16 + 420].max() < 30


@pytest.mark.parametrize("shapes", [((1, 1), (5, 4000)), ((300, 200), (200, 300))])
def test_pictures_of_any_shape_without_pairs(shapes: tuple[tuple[int, int], tuple[int, int]]) -> None:
    empty = points()
    drawing = draw_matches(grey(*shapes[0]), grey(*shapes[1]), empty, empty, np.empty(0, bool), ("a" * 500, "index"))
    assert drawing.width < 2000 and drawing.height <= 16 + 420 + 56


def test_arrays_that_do_not_fit_are_refused() -> None:
    with pytest.raises(LandmarksError, match="do not fit"):
        draw_matches(grey(5, 5), grey(5, 5), points((1, 1)), points((1, 1)), np.array([True, False]))
