from collections import Counter
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks.data.samplers import RepeatedBatches, ShuffledBatches, repeat_factors
from landmarks.errors import LandmarksError


def rows(batches: Iterable[list[tuple[int, int]]]) -> list[int]:
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
        sampler = ShuffledBatches(len(groups), batch, seed=3, rank=rank, world_size=world, groups=groups)
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


REPEATS = np.array([1.0, 2.5, 1.0, 1.25, 4.0, 1.0])


def test_images_come_as_often_as_asked() -> None:
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


def test_draws_of_an_image_have_seeds_of_their_own_and_ranks_share_them() -> None:
    alone = RepeatedBatches(REPEATS, batch_size=4, seed=1)
    draws = [draw for batch in alone for draw in batch]
    assert len({seed for _, seed in draws}) == len(draws) == 8
    ranks = [
        [draw for batch in RepeatedBatches(REPEATS, 2, seed=1, rank=rank, world_size=2) for draw in batch]
        for rank in (0, 1)
    ]
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
    # of 5 images class 0 is in 4, 1 and 2 in 1 each; 3 in none
    factors = repeat_factors(start, labels, classes=4, threshold=0.4)
    np.testing.assert_allclose(factors, [1, 1, 2**0.5, 1, 2**0.5])
    np.testing.assert_array_equal(repeat_factors(start, labels, 4, threshold=0.1), np.ones(5))
