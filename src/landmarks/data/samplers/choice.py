"""What `sampler=…` chooses from: functions from a table and a rank's share to the batches of training."""

from collections.abc import Callable
from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from landmarks.data.samplers.class_balanced import BalancedBatches, PairBatches
from landmarks.data.samplers.epoch import EpochBatches, Share
from landmarks.data.samplers.shuffled import ShuffledBatches
from landmarks.errors import LandmarksError

# from landmarks, batch_size, pairs (does the loss need anchor, positive, …?) and a Share
MakeBatches = Callable[..., EpochBatches]


def by_loss(landmarks: NDArray[np.int32], batch_size: int, pairs: bool, **share: Unpack[Share]) -> EpochBatches:
    """Pairs for a loss that needs them, every image once an epoch for others."""
    if pairs:
        return PairBatches(landmarks, batch_size, **share)
    return ShuffledBatches(len(landmarks), batch_size, **share)


def balanced(
    landmarks: NDArray[np.int32],
    batch_size: int,
    pairs: bool,
    images_per_landmark: int = 4,
    size_power: float = 0.5,
    **share: Unpack[Share],
) -> EpochBatches:
    """Several images of each landmark, see `BalancedBatches`; refused to a loss that needs pairs."""
    if pairs:
        raise LandmarksError(
            "sampler=balanced does not go with this loss, which trains on its own pairs: two images of each "
            "landmark. Leave out sampler=balanced, or choose a loss that takes any batch, such as loss=arcmargin."
        )
    return BalancedBatches(landmarks, batch_size, images_per_landmark, size_power, **share)
