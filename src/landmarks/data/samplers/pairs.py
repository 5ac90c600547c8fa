"""Batches of pairs, for losses that compare pictures of one landmark."""

import numpy as np
from numpy.typing import NDArray

from landmarks.data.samplers.class_balanced import BalancedBatches
from landmarks.data.samplers.epoch import Groups
from landmarks.errors import LandmarksError


class PairBatches(BalancedBatches):
    """Batches by class for pair losses: batch / 2 landmarks, two different pictures of each.

    Laid out anchor, positive, anchor, positive…, no landmark twice in a batch (nor in the same step of
    another rank), every landmark as often as another. An epoch has as many batches as fit the pictures of
    landmarks that have at least two. The layout is the one of the released npairs model, after Sohn, "Improved
    Deep Metric Learning with Multi-class N-pair Loss Objective", NIPS 2016.

    Args:
        landmarks: int32 [N], landmark of each picture; -1 and landmarks of one picture are never drawn.
        batch_size: Pictures in a batch of one rank, even.
        seed: Of the whole run.
        rank: This process.
        world_size: Processes that share the epoch.
        groups: int [N], group of each picture; a pair is of one group. None puts all into one.

    Raises:
        LandmarksError: `batch_size` is odd, or there are fewer such landmarks than pairs in a step.
    """

    def __init__(
        self,
        landmarks: NDArray[np.int32],
        batch_size: int,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        groups: Groups | None = None,
    ) -> None:
        if batch_size % 2:
            raise LandmarksError(f"data.batch_size is {batch_size}: a batch of pairs must be even")
        super().__init__(
            landmarks,
            batch_size,
            seed,
            rank,
            world_size,
            groups,
            images_per_landmark=2,
            size_power=0.0,
            repeat=False,
        )
