"""Properties of all training samplers: they depend on (seed, epoch) only, divide batches among ranks, and resume."""

from collections.abc import Callable

import numpy as np
import pytest
from lightning_fabric.utilities.data import _set_sampler_epoch
from torch.utils.data import DataLoader

from landmarks.data.samplers import EpochBatches, ShuffledBatches, fingerprint
from landmarks.errors import LandmarksError

Make = Callable[..., EpochBatches]


def test_batches_depend_on_seed_and_epoch_alone(make_sampler: Make) -> None:
    first, second = make_sampler(), make_sampler()
    assert list(first) == list(first) == list(second)
    first.set_epoch(1)
    assert list(first) != list(second)
    second.set_epoch(1)
    assert list(first) == list(second)
    assert list(first) != list(make_sampler(seed=2))


def test_an_epoch_goes_on_where_it_stopped(make_sampler: Make) -> None:
    sampler = make_sampler()
    sampler.set_epoch(4)
    whole = list(sampler)
    sampler.set_epoch(5)
    following = list(sampler)
    sampler.resume_at(4, batch=7)
    sampler.set_epoch(4)  # Lightning sets the epoch again before it starts
    assert list(sampler) == whole[7:]
    sampler.set_epoch(5)
    assert list(sampler) == following


def test_each_draw_has_its_own_seed(make_sampler: Make) -> None:
    seeds = [seed for batch in make_sampler() for _, seed in batch]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_ranks_share_the_batches_of_one_process(make_sampler: Make) -> None:
    alone = [sorted(batch) for batch in make_sampler(batch_size=24)]
    ranks = [list(make_sampler(batch_size=8, rank=rank, world_size=3)) for rank in range(3)]
    assert [sorted(draw for batch in step for draw in batch) for step in zip(*ranks, strict=True)] == alone


def test_a_step_is_of_one_group_on_all_ranks(make_sampler: Make) -> None:
    groups = make_sampler().groups
    if groups is None:
        pytest.skip("without groups")
    ranks = [list(make_sampler(rank=rank, world_size=2)) for rank in range(2)]
    steps = [{int(groups[row]) for batch in step for row, _ in batch} for step in zip(*ranks, strict=True)]
    assert all(len(step) == 1 for step in steps)
    assert set.union(*steps) == {0, 1}


def test_identity_names_what_decides_the_batches(make_sampler: Make) -> None:
    sampler = make_sampler()
    assert sampler.identity() == make_sampler().identity()
    changes = ({"seed": 2}, {"batch_size": 16}, {"world_size": 2}, {"groups": np.zeros(150, dtype=np.int8)})
    for change in changes:
        assert sampler.identity() != make_sampler(**change).identity(), change


def test_lightning_finds_set_epoch() -> None:
    sampler = ShuffledBatches(10, 2)
    loader = DataLoader(range(10), batch_sampler=sampler)  # type: ignore[arg-type]
    _set_sampler_epoch(loader, 9)
    assert sampler.epoch == 9


def test_fingerprints_see_values_order_and_borders() -> None:
    arrays = [np.arange(4), np.arange(4)[::-1], np.arange(4, dtype=np.int32), np.arange(4).reshape(2, 2)]
    prints = {fingerprint(array) for array in arrays} | {fingerprint(np.arange(2), np.arange(2, 4))}
    assert len(prints) == 5
    assert fingerprint(np.arange(8)[::2]) == fingerprint(np.arange(0, 8, 2))


@pytest.mark.parametrize(("rank", "world"), [(1, 1), (-1, 2), (0, 0)])
def test_impossible_ranks(rank: int, world: int) -> None:
    with pytest.raises(LandmarksError, match="not possible"):
        ShuffledBatches(50, 5, rank=rank, world_size=world)
