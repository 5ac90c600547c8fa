from collections import Counter

import numpy as np
import pytest

from landmarks.data.samplers import RepeatedBatches, repeat_factors
from landmarks.errors import LandmarksError

REPEATS = np.array([1.0, 2.5, 1.0, 1.25, 4.0, 1.0])


def rows(batches: RepeatedBatches) -> list[int]:
    return [row for batch in batches for row, _ in batch]


def test_pictures_come_as_often_as_asked() -> None:
    batches = RepeatedBatches(REPEATS, batch_size=1, seed=3)
    total: Counter[int] = Counter()
    for epoch in range(400):
        batches.set_epoch(epoch)
        counts = Counter(rows(batches))
        assert len(batches) == counts.total() == 10
        assert all(abs(counts[row] - repeats) < 2 for row, repeats in enumerate(REPEATS))
        total += counts
    mean = np.array([total[row] for row in range(6)]) / 400
    np.testing.assert_allclose(mean, REPEATS * 10 / REPEATS.sum(), atol=0.12)


def test_draws_of_a_picture_have_seeds_of_their_own_and_ranks_share_them() -> None:
    alone = RepeatedBatches(REPEATS, batch_size=4, seed=1)
    draws = [draw for batch in alone for draw in batch]
    assert len({seed for _, seed in draws}) == len(draws) == 8
    ranks = [[draw for batch in RepeatedBatches(REPEATS, 2, 1, rank, 2) for draw in batch] for rank in (0, 1)]
    assert sorted(ranks[0] + ranks[1]) == sorted(draws)
    assert alone.identity() != RepeatedBatches(REPEATS + 0.5, batch_size=4, seed=1).identity()


def test_a_batch_is_of_one_group() -> None:
    groups = np.array([0, 1, 0, 1, 1, 0])
    batches = RepeatedBatches(REPEATS * 10, batch_size=5, groups=groups)
    for batch in batches:
        assert len({int(groups[row]) for row, _ in batch}) == 1
    with pytest.raises(LandmarksError, match="do not fill one batch of 11"):
        RepeatedBatches(REPEATS, batch_size=11)


def test_factors_are_those_of_the_rarest_class() -> None:
    start = np.array([0, 2, 2, 5, 6, 8])
    labels = np.array([0, 0, 0, 1, 1, 0, 0, 2], dtype=np.int32)
    # of 5 pictures class 0 is in 4, 1 and 2 in 1 each; 3 in none
    factors = repeat_factors(start, labels, classes=4, threshold=0.4)
    np.testing.assert_allclose(factors, [1, 1, 2**0.5, 1, 2**0.5])
    np.testing.assert_array_equal(repeat_factors(start, labels, 4, threshold=0.1), np.ones(5))
