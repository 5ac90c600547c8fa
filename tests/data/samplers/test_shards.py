import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks.data.samplers.shards import ShardSampler
from landmarks.errors import LandmarksError


@given(n=st.integers(0, 100), world=st.integers(1, 7))
def test_shards_cover_every_row_once(n: int, world: int) -> None:
    shards = [ShardSampler(n, rank, world) for rank in range(world)]
    assert sorted(row for shard in shards for row in shard) == list(range(n))
    assert all(len(shard) == len(list(shard)) for shard in shards)


@pytest.mark.parametrize(("rank", "world"), [(1, 1), (-1, 2), (0, 0)])
def test_impossible_ranks(rank: int, world: int) -> None:
    with pytest.raises(LandmarksError, match="not possible"):
        ShardSampler(5, rank, world)
