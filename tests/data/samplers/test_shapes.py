import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks.data import ShapeBatches
from landmarks.errors import LandmarksError

SHAPES = st.lists(st.sampled_from([(32, 32), (32, 64), (64, 32), (96, 64), (0, 0)]), max_size=60)


@given(pictures=SHAPES, batch_size=st.integers(1, 9), world_size=st.integers(1, 4))
def test_each_row_once_in_a_batch_of_its_shape(
    pictures: list[tuple[int, int]], batch_size: int, world_size: int
) -> None:
    shapes = np.array(pictures, dtype=np.int64).reshape(-1, 2)
    ranks = [ShapeBatches(shapes, batch_size, rank, world_size) for rank in range(world_size)]
    batches = [batch for rank in ranks for batch in rank]
    assert sorted(row for batch in batches for row in batch) == list(range(len(pictures)))
    for batch in batches:
        assert 1 <= len(batch) <= batch_size and len({pictures[row] for row in batch}) == 1
    assert [len(rank) for rank in ranks] == [len(list(rank)) for rank in ranks]
    counts = {shape: pictures.count(shape) for shape in set(pictures)}
    assert len(batches) == sum(-(-count // batch_size) for count in counts.values())  # no more than needed
    assert max(map(len, ranks)) - min(map(len, ranks)) <= 1
    again = ShapeBatches(shapes, batch_size, 0, world_size)
    assert list(again) == list(ranks[0]) == list(ranks[0])


@given(pictures=SHAPES, batch_size=st.integers(1, 9), worlds=st.tuples(*[st.integers(1, 4)] * 2), data=st.data())
def test_what_is_done_is_left_out_and_the_rest_keeps_its_batches(
    pictures: list[tuple[int, int]], batch_size: int, worlds: tuple[int, int], data: st.DataObject
) -> None:
    shapes = np.array(pictures, dtype=np.int64).reshape(-1, 2)
    before, after = worlds
    first = [list(ShapeBatches(shapes, batch_size, rank, before)) for rank in range(before)]
    made = [batch for share in first for batch in share[: data.draw(st.integers(0, len(share)))]]
    done = np.zeros(len(pictures), np.bool_)
    done[[row for batch in made for row in batch]] = True
    rest = [batch for rank in range(after) for batch in ShapeBatches(shapes, batch_size, rank, after, done)]
    assert sorted(made + rest) == sorted(batch for share in first for batch in share)


def test_the_most_pixels_come_first_and_rows_in_order() -> None:
    shapes = np.array([(32, 32), (64, 64), (32, 32), (32, 64), (64, 64), (32, 32), (64, 64)])
    assert list(ShapeBatches(shapes, 2)) == [[1, 4], [6], [3], [0, 2], [5]]
    assert list(ShapeBatches(np.zeros((5, 2), np.int64), 2)) == [[0, 1], [2, 3], [4]]
    second = np.array([32, 32, 96, 32, 32, 32, 32])[:, None].repeat(2, axis=1)
    assert list(ShapeBatches(np.hstack([shapes, second]), 2)) == [[2], [1, 4], [6], [0, 5], [3]]


@pytest.mark.parametrize(("batch_size", "rank", "world_size"), [(0, 0, 1), (1, 1, 1), (1, -1, 1)])
def test_impossible_shares(batch_size: int, rank: int, world_size: int) -> None:
    with pytest.raises(LandmarksError, match="not possible"):
        ShapeBatches(np.ones((3, 2), np.int64), batch_size, rank, world_size)
