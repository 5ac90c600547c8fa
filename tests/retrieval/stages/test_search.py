import numpy as np

from landmarks.retrieval import SearchState
from landmarks.retrieval.search import ExactIndex
from landmarks.retrieval.stages import Search
from resources import make_resources


def test_gives_the_nearest_index_images():
    rng = np.random.default_rng(0)
    index = rng.standard_normal((20, 4)).astype(np.float32)
    state = Search()(SearchState(index[:3], index), make_resources(ExactIndex(k=2)))
    assert state.ranking.indices[:, 0].tolist() == [0, 1, 2]
    assert state.queries is not None and state.index is index
