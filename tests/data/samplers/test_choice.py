import numpy as np
import pytest

from landmarks.data.samplers import BalancedBatches, PairBatches, ShuffledBatches, balanced, by_loss
from landmarks.errors import LandmarksError

SHARE = {
    "landmarks": np.repeat(np.arange(5, dtype=np.int32), 6),
    "batch_size": 4,
    "seed": 1,
    "rank": 1,
    "world_size": 2,
    "groups": np.arange(30) % 2,
}


def test_the_loss_decides_by_default() -> None:
    for pairs, kind in ((True, PairBatches), (False, ShuffledBatches)):
        batches = by_loss(**SHARE, pairs=pairs)
        assert type(batches) is kind
        assert (batches.seed, batches.rank, batches.step) == (1, 1, 8)
        assert batches.groups is SHARE["groups"]


def test_balanced_batches_are_for_losses_without_pairs() -> None:
    batches = balanced(**SHARE, pairs=False, images_per_landmark=2, size_power=0.0)
    assert isinstance(batches, BalancedBatches)
    assert (batches.images_per_landmark, batches.size_power, batches.step) == (2, 0.0, 8)
    with pytest.raises(LandmarksError, match="sampler=balanced does not go with this loss"):
        balanced(**SHARE, pairs=True)
