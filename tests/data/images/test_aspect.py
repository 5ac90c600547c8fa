import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks.data.images import assign_groups, cropped_away, group_shapes
from landmarks.errors import LandmarksError


def test_five_shapes_at_the_usual_sizes() -> None:
    assert group_shapes(5, 224) == [(320, 160), (256, 192), (224, 224), (192, 256), (160, 320)]
    assert group_shapes(5, 448) == [(640, 320), (544, 384), (448, 448), (384, 544), (320, 640)]
    assert group_shapes(1, 224) == [(224, 224)]


@given(groups=st.integers(1, 15), image_size=st.integers(16, 600))
def test_shapes_are_multiples_of_about_the_same_area(groups: int, image_size: int) -> None:
    shapes = group_shapes(groups, image_size)
    assert 1 <= len(shapes) == len(set(shapes)) <= groups
    assert sorted(shapes) == sorted((width, height) for height, width in shapes)  # high as wide
    for height, width in shapes:
        assert height % 32 == width % 32 == 0
        assert max(height, width) <= 3 * min(height, width)
        if image_size >= 128:
            assert 0.75 < height * width / image_size**2 < 1.3
            assert max(height, width) / min(height, width) < 2.4
    ratios = [width / height for height, width in shapes]
    assert ratios == sorted(ratios)


@given(st.lists(st.tuples(st.integers(1, 65535), st.integers(1, 65535)), min_size=1, max_size=20), st.integers(1, 9))
def test_each_picture_joins_the_closest_ratio(pictures: list[tuple[int, int]], groups: int) -> None:
    sizes, shapes = np.array(pictures, dtype=np.uint16), group_shapes(groups, 224)
    chosen = assign_groups(sizes, shapes)
    assert chosen.dtype == np.int8
    for (height, width), group in zip(pictures, chosen.tolist(), strict=True):
        distance = [abs(np.log(width / height) - np.log(w / h)) for h, w in shapes]
        assert distance[group] <= min(distance) + 1e-9


def test_photographs_find_their_group() -> None:
    shapes = group_shapes(5, 224)
    sizes = np.array([(600, 800), (800, 600), (533, 800), (800, 800), (300, 800), (800, 300), (0, 0)], dtype=np.uint16)
    assert assign_groups(sizes, shapes).tolist() == [3, 1, 3, 2, 4, 0, 2]
    assert assign_groups(np.empty((0, 2), np.uint16), shapes).shape == (0,)


def test_groups_leave_less_of_the_pictures_out() -> None:
    sizes = np.array([(600, 800), (800, 600), (500, 500), (400, 800), (0, 0)], dtype=np.uint16)
    square, five = group_shapes(1, 224), group_shapes(5, 224)
    assert cropped_away(sizes, square, assign_groups(sizes, square)) == pytest.approx((0.25 + 0.25 + 0 + 0.5) / 4)
    assert cropped_away(sizes, five, assign_groups(sizes, five)) == pytest.approx(0, abs=1e-9)
    assert cropped_away(sizes[4:], five, np.array([2], np.int8)) == 0


@pytest.mark.parametrize("groups", [-1, 0, 16])
def test_impossible_numbers_of_groups(groups: int) -> None:
    with pytest.raises(LandmarksError, match=f"aspect_groups is {groups}"):
        group_shapes(groups, 224)
