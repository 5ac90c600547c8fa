"""The functions that `sampler=…` chooses from: each makes a rank's training batches from the labels of a table."""

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
    """Return batches of pairs for a loss that needs them, else every image once per epoch.

    Args:
        landmarks: Landmark of each image, int32 [N].
        batch_size: Images in a batch of one rank.
        pairs: Whether the loss needs batches laid out anchor, positive, anchor, positive…
        **share: See `Share`.
    """
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
    """Return batches with several images of each landmark, see `BalancedBatches`.

    Raises:
        LandmarksError: The loss needs pairs.
    """
    if pairs:
        raise LandmarksError(
            "sampler=balanced cannot be used with this loss, which needs batches of pairs: two images of each "
            "landmark. Leave out sampler=balanced, or choose a loss that takes any batch, such as loss=arcmargin."
        )
    return BalancedBatches(landmarks, batch_size, images_per_landmark, size_power, **share)
