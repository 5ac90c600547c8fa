from typing import ClassVar

import pytest

from landmarks.errors import LandmarksError
from landmarks.extraction import Extraction
from landmarks.retrieval import Pipeline, Search
from landmarks.retrieval.search import ExactIndex


def test_scales_are_numbers_above_zero_each_once():
    assert Extraction([1, 2]).scales == (1.0, 2.0)
    for scales in ([], [0.0], [-1.0], [1, 1.0]):
        with pytest.raises(LandmarksError, match=r"extraction\.scales"):
            Extraction(scales)
    with pytest.raises(LandmarksError, match=r"extraction\.regions"):
        Extraction(regions=-1)


class Regional(Search):
    needs: ClassVar = frozenset({"regions"})


def test_a_stage_that_needs_regions_says_how_to_get_them():
    index = ExactIndex(k=10)
    Extraction().require(Pipeline(index, {"search": Search()}))
    Extraction(regions=3).require(Pipeline(index, {"search": Regional()}))
    with pytest.raises(LandmarksError, match=r"set extraction\.regions=3"):
        Extraction().require(Pipeline(index, {"search": Regional()}))
