import numpy as np
import pytest

from landmarks.detection import sample_pictures


def test_a_sample_holds_one_picture_without_boxes_and_is_the_same_every_time() -> None:
    counts = np.array([0, 0, 3, 1, 0, 2, 5, 1, 1])
    rows = sample_pictures(counts, 4, seed=1)
    assert len(rows) == 4
    assert (counts[rows] == 0).sum() == 1
    assert np.array_equal(rows, sample_pictures(counts, 4, seed=1))
    assert any(not np.array_equal(rows, sample_pictures(counts, 4, seed=seed)) for seed in range(2, 6))


@pytest.mark.parametrize(("counts", "expected"), [([], 0), ([0, 0], 1), ([2], 1), ([2, 1, 0], 3)])
def test_there_may_be_fewer_pictures(counts: list[int], expected: int) -> None:
    assert len(sample_pictures(np.array(counts, np.int64), 8)) == expected
