import numpy as np

from landmarks.retrieval.search import ExactIndex
from landmarks.retrieval.search.approximate import ScalarIndex, recall


def test_eight_bits_hardly_change_the_order():
    database = np.random.default_rng(0).standard_normal((2000, 32)).astype(np.float32)
    found = ScalarIndex(10, lists=1, oversampling=1).search(database[:100], database)
    assert recall(found, ExactIndex(10).search(database[:100], database)) > 0.9
