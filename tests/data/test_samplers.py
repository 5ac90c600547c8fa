from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landmarks.data.samplers.pairs import PairBatches
from landmarks.data.samplers.shards import ShardSampler
from landmarks.data.samplers.shuffled import ShuffledBatches
from landmarks.errors import LandmarksError


def rows(batches: list[list[tuple[int, int]]]) -> list[int]:
    return [row for batch in batches for row, _ in batch]


@given(n=st.integers(1, 200), batch=st.integers(1, 20), world=st.integers(1, 4), epoch=st.integers(0, 3))
def test_shuffled_epoch_is_a_permutation_shared_by_the_ranks(n: int, batch: int, world: int, epoch: int) -> None:
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


landmark_lists = st.lists(st.integers(-1, 12), min_size=4, max_size=120)


@settings(max_examples=60)
@given(marks=landmark_lists, pairs=st.integers(1, 5), world=st.integers(1, 3), epoch=st.integers(0, 2))
def test_pairs_are_laid_out_anchor_positive(marks: list[int], pairs: int, world: int, epoch: int) -> None:
    landmarks = np.array(marks, dtype=np.int32)
    usable = [m for m in set(marks) - {-1} if marks.count(m) >= 2]
    if len(usable) < pairs * world:
        with pytest.raises(LandmarksError, match=f"{len(usable)} landmarks have two or more"):
            PairBatches(landmarks, pairs * 2, world_size=world)
        return
    samplers = [PairBatches(landmarks, pairs * 2, 5, rank, world) for rank in range(world)]
    for sampler in samplers:
        sampler.set_epoch(epoch)
    steps = list(zip(*samplers, strict=True))  # all ranks have the same number of batches
    assert len(steps) == len(samplers[0]) >= 1
    for step in steps:
        drawn = [row for batch in step for row, _ in batch]
        anchors, positives = landmarks[drawn[::2]], landmarks[drawn[1::2]]
        assert (anchors == positives).all() and (anchors >= 0).all()
        assert len(set(anchors.tolist())) == pairs * world  # no landmark twice, on any rank
        assert len(set(drawn)) == len(drawn)  # two different pictures
        assert all(len(batch) == pairs * 2 for batch in step)


def make_samplers() -> list[Any]:
    landmarks = np.repeat(np.arange(30, dtype=np.int32), 5)
    return [ShuffledBatches(150, 8, seed=1), PairBatches(landmarks, 8, seed=1)]


@pytest.mark.parametrize("kind", [0, 1])
def test_batches_depend_on_seed_and_epoch_alone(kind: int) -> None:
    first, second = make_samplers()[kind], make_samplers()[kind]
    assert list(first) == list(first) == list(second)
    first.set_epoch(1)
    assert list(first) != list(second)
    second.set_epoch(1)
    assert list(first) == list(second)
    second.seed = 2
    assert list(first) != list(second)


@pytest.mark.parametrize("kind", [0, 1])
def test_an_epoch_goes_on_where_it_stopped(kind: int) -> None:
    sampler = make_samplers()[kind]
    sampler.set_epoch(4)
    whole = list(sampler)
    sampler.set_epoch(5)
    following = list(sampler)
    sampler.resume_at(4, batch=7)
    sampler.set_epoch(4)  # Lightning sets the epoch again before it starts
    assert list(sampler) == whole[7:]
    sampler.set_epoch(5)
    assert list(sampler) == following


@pytest.mark.parametrize("kind", [0, 1])
def test_each_draw_has_its_own_seed(kind: int) -> None:
    seeds = [seed for batch in make_samplers()[kind] for _, seed in batch]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_pairs_reach_every_picture_evenly() -> None:
    landmarks = np.array([0] * 4 + [1] * 2 + [2] + [-1] * 3 + [3] * 6, dtype=np.int32)
    sampler = PairBatches(landmarks, 4)
    counts, steps = np.zeros(len(landmarks)), 0
    for epoch in range(600):
        sampler.set_epoch(epoch)
        for batch in sampler:
            steps += 1
            counts[[row for row, _ in batch]] += 1
    assert counts[landmarks == 2].sum() == counts[landmarks == -1].sum() == 0
    for landmark in (0, 1, 3):
        pictures = counts[landmarks == landmark] / steps
        assert pictures == pytest.approx(np.full(len(pictures), 2 * 2 / 3 / len(pictures)), rel=0.15)


def test_two_hundred_thousand_landmarks() -> None:
    landmarks = np.repeat(np.arange(200_000, dtype=np.int32), 2)
    batch = next(iter(PairBatches(landmarks, 256)))
    assert len({int(landmarks[row]) for row, _ in batch}) == 128


def test_odd_batch_of_pairs_is_refused() -> None:
    with pytest.raises(LandmarksError, match="must be even"):
        PairBatches(np.array([0, 0], dtype=np.int32), 3)


def test_lightning_finds_set_epoch() -> None:
    from lightning_fabric.utilities.data import _set_sampler_epoch
    from torch.utils.data import DataLoader

    sampler = ShuffledBatches(10, 2)
    loader = DataLoader(range(10), batch_sampler=sampler)  # type: ignore[arg-type]
    _set_sampler_epoch(loader, 9)
    assert sampler.epoch == 9


@given(n=st.integers(0, 100), world=st.integers(1, 7))
def test_shards_cover_every_row_once(n: int, world: int) -> None:
    shards = [ShardSampler(n, rank, world) for rank in range(world)]
    assert sorted(row for shard in shards for row in shard) == list(range(n))
    assert all(len(shard) == len(list(shard)) for shard in shards)


@pytest.mark.parametrize(("rank", "world"), [(1, 1), (-1, 2), (0, 0)])
def test_impossible_ranks(rank: int, world: int) -> None:
    with pytest.raises(LandmarksError, match="not possible"):
        ShardSampler(5, rank, world)
    with pytest.raises(LandmarksError, match="not possible"):
        ShuffledBatches(50, 5, rank=rank, world_size=world)
