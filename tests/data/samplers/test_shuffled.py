import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks.data.samplers import ShuffledBatches
from landmarks.errors import LandmarksError


def rows(batches: list[list[tuple[int, int]]]) -> list[int]:
    return [row for batch in batches for row, _ in batch]


@given(n=st.integers(1, 200), batch=st.integers(1, 20), world=st.integers(1, 4), epoch=st.integers(0, 3))
def test_an_epoch_is_a_permutation_shared_by_the_ranks(n: int, batch: int, world: int, epoch: int) -> None:
    if n < batch * world:
        with pytest.raises(LandmarksError, match=f"at most {n // world}"):
            ShuffledBatches(n, batch, world_size=world)
        return
    shards = []
    for rank in range(world):
        sampler = ShuffledBatches(n, batch, seed=3, rank=rank, world_size=world)
        sampler.set_epoch(epoch)
        shards.append(list(sampler))
        assert len(shards[-1]) == len(sampler) == n // (batch * world)
        assert all(len(part) == batch for part in shards[-1])
    seen = [row for shard in shards for row in rows(shard)]
    assert len(set(seen)) == len(seen) == n // (batch * world) * batch * world
    assert set(seen) <= set(range(n))


@given(
    sizes=st.lists(st.integers(1, 60), min_size=1, max_size=5),
    batch=st.integers(1, 12),
    world=st.integers(1, 2),
    epoch=st.integers(0, 3),
)
def test_groups_lose_at_most_about_a_step_each(sizes: list[int], batch: int, world: int, epoch: int) -> None:
    groups = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)) * 3, sizes))
    step = batch * world
    if len(groups) < step:
        return
    steps: list[list[int]] = [[] for _ in range(len(groups) // step)]
    for rank in range(world):
        sampler = ShuffledBatches(len(groups), batch, 3, rank, world, groups)
        sampler.set_epoch(epoch)
        for place, part in zip(steps, sampler, strict=True):
            place += rows([part])
    assert all(len({groups[row] for row in place}) == 1 for place in steps)
    for number, size in enumerate(sizes):
        drawn = [row for place in steps for row in place if groups[row] == number * 3]
        share = size / len(groups) * len(steps)
        assert len(drawn) // step in (int(share), int(share) + 1)
        times = np.bincount(drawn, minlength=len(groups))[groups == number * 3]
        assert times.max() - times.min() <= 1  # evenly, as far as it goes


def test_groups_of_any_size_are_drawn_evenly_over_the_epochs() -> None:
    sizes = [3, 37, 160]
    groups = np.repeat(np.arange(3), sizes)
    sampler = ShuffledBatches(200, 10, groups=groups)
    drawn = np.zeros(200)
    for epoch in range(600):
        sampler.set_epoch(epoch)
        drawn += np.bincount(rows(list(sampler)), minlength=200)
    assert drawn.min() > 0
    for group, tolerance in ((0, 0.3), (1, 0.06), (2, 0.06)):
        assert drawn[groups == group] == pytest.approx(600, rel=tolerance)


def test_four_million_pictures_in_groups() -> None:
    groups = np.random.default_rng(0).integers(5, size=4_132_914, dtype=np.int8)
    batch = next(iter(ShuffledBatches(len(groups), 256, groups=groups)))
    assert len({int(groups[row]) for row, _ in batch}) == 1
