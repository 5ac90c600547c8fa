from pathlib import Path

import numpy as np
import pytest

from corners import Corners
from landmarks.errors import LandmarksError
from landmarks.models.local_features.rootsift import RootSift
from landmarks.retrieval.local.store import LocalFeatureStore
from landmarks.retrieval.local.verifier import Verifier
from landmarks.retrieval.ranking import EMPTY, Ranking
from pictures import image_set, png, scene
from resources import make_resources


def verifier(folder: str | Path = "unused", **numbers: int) -> Verifier:
    return Verifier(LocalFeatureStore(Corners(), folder), **numbers)


def test_evidence_begins_at_the_floor_and_ends_at_the_saturation() -> None:
    found = verifier(min_inliers=8, saturation=70).evidence(np.array([[0, 7, 8], [35, 70, 500]], np.int32))
    assert found.dtype == np.float32
    assert found.tolist() == [[0, 0, pytest.approx(8 / 70)], [0.5, 1, 1]]


def test_a_picture_agrees_with_itself_and_empty_places_count_nothing(tmp_path: Path) -> None:
    picture = png(scene(0))
    indices = np.array([[0, EMPTY, EMPTY], [EMPTY, EMPTY, EMPTY]], np.int32)
    ranking = Ranking(indices, np.where(indices == EMPTY, -np.inf, 1).astype(np.float32))
    one = Verifier(LocalFeatureStore(RootSift(max_features=100), tmp_path), depth=2)
    found = one.inliers(image_set([picture] * 2), image_set([picture], first_id=9), ranking, make_resources(workers=1))
    assert found.shape == (2, 2) and found.dtype == np.int32
    assert found[0, 0] > 40 and found.sum() == found[0, 0]


@pytest.mark.parametrize("numbers", [{"depth": 0}, {"min_inliers": 0}, {"min_inliers": 80}])
def test_numbers_out_of_range_are_refused(numbers: dict[str, int]) -> None:
    with pytest.raises(LandmarksError, match="verification"):
        verifier(**numbers)
