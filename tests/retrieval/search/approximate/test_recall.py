import numpy as np

from landmarks.retrieval import Ranking
from landmarks.retrieval.search.approximate import recall


def ranking(indices, scores):
    return Ranking(np.array(indices, np.int32), np.array(scores, np.float32))


def test_share_of_the_exact_results():
    exact = ranking([[4, 2, 7], [1, 2, 3]], [[3, 2, 1], [3, 2, 1]])
    found = ranking([[4, 7, -1], [1, 2, 3]], [[3, 1, -np.inf], [3, 2, 1]])
    assert recall(exact, exact) == 1
    assert recall(found, exact) == (2 / 3 + 1) / 2


def test_another_copy_of_the_same_picture_counts():
    assert recall(ranking([[9, 8]], [[2, 1]]), ranking([[9, 5]], [[2, 1]])) == 1


def test_places_that_cannot_be_filled_do_not_count():
    exact = ranking([[0, -1]], [[1, -np.inf]])
    assert recall(exact, exact) == 1
    assert recall(Ranking.empty(1, 2), exact) == 0
    assert recall(Ranking.empty(2, 3), Ranking.empty(2, 3)) == 1
