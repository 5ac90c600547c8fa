"""What `sampler=…` chooses from: functions from a table and a rank's share to the batches of training."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from landmarks.data.samplers.class_balanced import BalancedBatches, PairBatches
from landmarks.data.samplers.epoch import EpochBatches, Groups
from landmarks.data.samplers.shuffled import ShuffledBatches
from landmarks.errors import LandmarksError

# from landmarks, batch_size, seed, rank, world_size, groups and pairs: does the loss need anchor, positive, …?
MakeBatches = Callable[..., EpochBatches]


def by_loss(
    landmarks: NDArray[np.int32],
    batch_size: int,
    seed: int,
    rank: int,
    world_size: int,
    groups: Groups | None,
    pairs: bool,
) -> EpochBatches:
    """Pairs for a loss that needs them, every picture once an epoch for others."""
    if pairs:
        return PairBatches(landmarks, batch_size, seed, rank, world_size, groups)
    return ShuffledBatches(len(landmarks), batch_size, seed, rank, world_size, groups)


def balanced(
    landmarks: NDArray[np.int32],
    batch_size: int,
    seed: int,
    rank: int,
    world_size: int,
    groups: Groups | None,
    pairs: bool,
    images_per_landmark: int = 4,
    size_power: float = 0.5,
) -> EpochBatches:
    """Several pictures of each landmark, see `BalancedBatches`.

    Raises:
        LandmarksError: the loss needs pairs.
    """
    if pairs:
        raise LandmarksError(
            "sampler=balanced does not go with this loss, which trains on its own pairs: two pictures of each "
            "landmark. Leave out sampler=balanced, or choose a loss that takes any batch, such as loss=arcmargin."
        )
    return BalancedBatches(landmarks, batch_size, seed, rank, world_size, groups, images_per_landmark, size_power)
