import numpy as np
import pytest

from landmarks.errors import LandmarksError
from landmarks.retrieval.search import ExactIndex
from landmarks.retrieval.search.approximate import IvfPqIndex, recall


@pytest.mark.parametrize(("dim", "asked", "taken"), [(24, 10, 8), (7, 64, 7), (13, 5, 1)])
def test_a_code_takes_the_largest_number_of_bytes_that_divides_the_dimensions(dim, asked, taken):
    database = np.random.default_rng(0).standard_normal((1200, dim)).astype(np.float32)
    searcher = IvfPqIndex(5, code_bytes=asked)
    searcher.search(database[:5], database)
    assert taken == searcher._built.index.pq.M


def test_more_candidates_make_up_for_coarse_codes():
    database = np.random.default_rng(0).standard_normal((2000, 32)).astype(np.float32)
    exact = ExactIndex(10).search(database[:100], database)
    coarse, more = (
        recall(IvfPqIndex(10, code_bytes=4, probes=1000, oversampling=n).search(database[:100], database), exact)
        for n in (1, 40)
    )
    assert coarse < 0.5 < 0.9 < more


def test_wrong_parameters_are_refused():
    with pytest.raises(LandmarksError, match="code_bytes is 0"):
        IvfPqIndex(code_bytes=0)
