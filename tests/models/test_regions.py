import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks.models import Region, mirrored_regions, region_count, region_grid

SIDES = st.integers(1, 40)
LEVELS = st.integers(1, 6)


def test_three_levels_of_a_map_by_hand():
    grid = region_grid(6, 12, 3)
    assert grid[0] == Region(0, 0, 6, 12)
    assert grid[1:5] == [Region(0, 0, 4, 8), Region(0, 4, 4, 12), Region(2, 0, 6, 8), Region(2, 4, 6, 12)]
    assert [(r.left, r.right) for r in grid[5:8]] == [(0, 6), (3, 9), (6, 12)]
    assert [(r.top, r.bottom) for r in grid[5::3]] == [(0, 3), (1, 5), (3, 6)]  # 1.5 to 4.5, rounded outwards


@given(height=SIDES, width=SIDES, levels=LEVELS)
def test_every_level_covers_the_map_and_no_region_is_empty(height, width, levels):
    grid = region_grid(height, width, levels)
    assert len(grid) == region_count(levels) == sum(level**2 for level in range(1, levels + 1))
    start = 0
    for level in range(1, levels + 1):
        covered = np.zeros((height, width), bool)
        for region in grid[start : start + level**2]:
            assert 0 <= region.top < region.bottom <= height and 0 <= region.left < region.right <= width
            covered[region.top : region.bottom, region.left : region.right] = True
        assert covered.all()
        start += level**2


@given(height=SIDES, width=SIDES, levels=LEVELS)
def test_a_mirrored_map_has_the_mirrored_regions(height, width, levels):
    grid = region_grid(height, width, levels)
    for region, other in zip(grid, mirrored_regions(levels), strict=True):
        mirror = Region(region.top, width - region.right, region.bottom, width - region.left)
        assert grid[other] == mirror


def test_bad_input_is_named():
    for refused in (region_count, mirrored_regions, lambda levels: region_grid(7, 7, levels)):
        with pytest.raises(ValueError, match=r"levels.*not 0"):
            refused(0)
    with pytest.raises(ValueError, match="0 x 7"):
        region_grid(0, 7, 2)
