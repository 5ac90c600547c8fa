import pytest

from landmarks.errors import LandmarksError
from landmarks.recognition.stages import NeighbourVotes
from landmarks.retrieval.stages import Search


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(LandmarksError, match="k=0"):
        NeighbourVotes(k=0)
    with pytest.raises(LandmarksError, match="k is 0"):
        Search(k=0)
