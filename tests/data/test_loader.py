"""The position in an epoch is saved as the training loop sees it, resumed exactly, and refused if batches changed."""

from collections.abc import Iterator
from itertools import islice
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from torch.utils.data import Dataset

from landmarks.data import ImageTable, ResumableLoader
from landmarks.data.samplers import BalancedBatches, ShuffledBatches
from landmarks.errors import LandmarksError

Batch = list[tuple[int, int]]


class Draws(Dataset[tuple[int, int]]):
    """Gives what the sampler asks for, so that tests see it."""

    def __init__(self, num_images: int = 40) -> None:
        table = ImageTable(
            np.arange(num_images, dtype=np.uint64),
            np.repeat(np.arange(10, dtype=np.int32), num_images // 10),
            np.arange(10).astype(str),
        )
        self.images = SimpleNamespace(table=table)

    def __len__(self) -> int:
        return len(self.images.table)

    def __getitem__(self, draw: tuple[int, int]) -> tuple[int, int]:
        return draw


def make_loader(workers: int = 0, num_images: int = 40, **changes: Any) -> ResumableLoader:
    options = {"persistent_workers": True, "prefetch_factor": 3} if workers else {}
    return ResumableLoader(
        Draws(num_images),  # type: ignore[arg-type]
        ShuffledBatches(num_images, **{"batch_size": 4, "seed": 1, **changes}),
        collate_fn=list,
        num_workers=workers,
        **options,
    )


def epoch(loader: ResumableLoader, number: int) -> Iterator[Batch]:
    """As Lightning does: the iterator is asked for, then the epoch is set, then batches are drawn."""
    iterator = iter(loader)
    loader.batch_sampler.set_epoch(number)  # type: ignore[union-attr]
    return iterator


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_that_were_only_prefetched_are_still_to_come(workers: int) -> None:
    whole = [list(epoch(make_loader(), number)) for number in range(4)]
    first = make_loader(workers)
    assert list(epoch(first, 0)) == whole[0]
    assert list(islice(epoch(first, 1), 3)) == whole[1][:3]
    assert first.state_dict()["batches"] == 3

    second = make_loader(workers)
    second.load_state_dict(first.state_dict())
    assert second.state_dict() == first.state_dict()  # before it has begun
    rest = epoch(second, 1)
    assert list(islice(rest, 2)) == whole[1][3:5]

    third = make_loader(workers)
    third.load_state_dict(second.state_dict())
    for number, expected in ((1, whole[1][5:]), (2, whole[2]), (3, whole[3])):
        assert list(epoch(third, number)) == expected


def test_a_finished_epoch_leaves_nothing() -> None:
    first = make_loader()
    assert len(list(epoch(first, 0))) == len(first) == 10
    second = make_loader()
    second.load_state_dict(first.state_dict())
    assert list(epoch(second, 0)) == []
    assert list(epoch(second, 1)) == list(epoch(make_loader(), 1))


def test_every_rank_goes_on_from_the_state_of_the_first() -> None:
    first = make_loader(world_size=2)
    list(islice(epoch(first, 3), 2))
    for rank in (0, 1):
        loader = make_loader(rank=rank, world_size=2)
        loader.load_state_dict(first.state_dict())
        assert list(epoch(loader, 3)) == list(epoch(make_loader(rank=rank, world_size=2), 3))[2:]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 8}, "data.batch_size: was 4, is 8"),
        ({"seed": 2}, "seed: was 1, is 2"),
        ({"world_size": 2}, "the number of devices: was 1, is 2"),
        ({"num_images": 50}, "the number of training images: was 40, is 50\n  the table of training images: was "),
        ({"groups": np.zeros(40, dtype=np.int8)}, "the grouping of images: was none, is "),
    ],
)
def test_an_epoch_of_other_batches_is_refused(changes: dict[str, Any], message: str) -> None:
    first = make_loader()
    list(islice(epoch(first, 1), 3))
    second = make_loader(**changes)
    second.load_state_dict(first.state_dict())
    with pytest.raises(LandmarksError, match="(?s)in the middle of an epoch.*" + message):
        list(epoch(second, 1))


def test_another_sampler_is_refused() -> None:
    first = make_loader()
    list(islice(epoch(first, 0), 3))
    images = Draws()
    batches = BalancedBatches(images.images.table.landmarks, 4, seed=1, images_per_landmark=2, size_power=0.5)
    second = ResumableLoader(images, batches)  # type: ignore[arg-type]
    second.load_state_dict(first.state_dict())
    with pytest.raises(LandmarksError, match="the sampler: was ShuffledBatches, is BalancedBatches"):
        next(iter(second))


def test_between_epochs_anything_may_change() -> None:
    first = make_loader()
    list(epoch(first, 0))
    second = make_loader(batch_size=8, seed=2)
    second.load_state_dict(first.state_dict())
    assert list(epoch(second, 1)) == list(epoch(make_loader(batch_size=8, seed=2), 1))
