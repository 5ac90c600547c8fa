import numpy as np
import pytest

from landmarks.errors import LandmarksError
from landmarks.retrieval.search import ExactIndex
from landmarks.retrieval.search.approximate import (
    ROWS_PER_LIST,
    SAMPLE,
    ScalarIndex,
    number_of_lists,
    number_of_probes,
    recall,
)


def test_lists_grow_with_the_set_as_far_as_it_can_train_them():
    assert number_of_lists(761_757, None) == min(round(4 * 761_757**0.5), SAMPLE // ROWS_PER_LIST)
    assert number_of_lists(3900, None) == 3900 // ROWS_PER_LIST
    assert number_of_lists(3900, 7) == 7
    assert number_of_lists(1, 7) == 1


def test_probes_are_a_tenth_of_the_lists_but_not_few():
    assert [number_of_probes(lists, None) for lists in (3000, 100, 7)] == [300, 16, 7]
    assert [number_of_probes(50, asked) for asked in (1, 99)] == [1, 50]


def test_more_probes_find_more():
    database = np.random.default_rng(0).standard_normal((3000, 16)).astype(np.float32)
    exact = ExactIndex(10).search(database[:100], database)
    shares = [recall(ScalarIndex(10, probes=n).search(database[:100], database), exact) for n in (1, 10, 100)]
    assert shares[0] < shares[1] < shares[2] == 1


@pytest.mark.parametrize("wrong", [{"lists": 0}, {"probes": 0}, {"lists": -3}, {"probes": -1}])
def test_wrong_parameters_are_refused(wrong):
    with pytest.raises(LandmarksError, match="index scalar: lists"):
        ScalarIndex(**wrong)
