import pytest

from landmarks.errors import LandmarksError
from landmarks.recognition.stages.search import GallerySearch
from landmarks.recognition.stages.votes import NeighbourVotes


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(LandmarksError, match="k=0"):
        NeighbourVotes(k=0)
    with pytest.raises(LandmarksError, match="k is 0"):
        GallerySearch(k=0)
