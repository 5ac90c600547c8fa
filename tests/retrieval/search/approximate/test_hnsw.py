import numpy as np
import pytest

from landmarks.errors import LandmarksError
from landmarks.retrieval.search import ExactIndex
from landmarks.retrieval.search.approximate import HnswIndex, recall


def test_a_wider_walk_finds_more():
    rng = np.random.default_rng(0)
    database = rng.standard_normal((2000, 64)).astype(np.float32)  # without structure: hard
    queries = rng.standard_normal((50, 64)).astype(np.float32)
    exact = ExactIndex(10).search(queries, database)
    shares = [
        recall(HnswIndex(10, links=8, search_width=width).search(queries, database), exact) for width in (20, 500)
    ]
    assert shares[0] < shares[1] > 0.98


def test_built_on_all_threads_it_still_finds():
    database = np.random.default_rng(0).standard_normal((2000, 8)).astype(np.float32)
    found = HnswIndex(10, repeatable=False).search(database, database)
    assert recall(found, ExactIndex(10).search(database, database)) > 0.98


@pytest.mark.parametrize("wrong", [{"links": 1}, {"build_width": 0}, {"search_width": 0}])
def test_wrong_parameters_are_refused(wrong):
    with pytest.raises(LandmarksError, match="index hnsw: links"):
        HnswIndex(**wrong)
