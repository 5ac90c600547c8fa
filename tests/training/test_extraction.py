import pytest

from landmarks.errors import LandmarksError
from landmarks.training.extraction import Extraction


def test_scales_are_numbers_above_zero_each_once():
    assert Extraction([1, 2]).scales == (1.0, 2.0)
    for scales in ([], [0.0], [-1.0], [1, 1.0]):
        with pytest.raises(LandmarksError, match=r"extraction\.scales"):
            Extraction(scales)
    with pytest.raises(LandmarksError, match=r"extraction\.regions"):
        Extraction(regions=-1)
