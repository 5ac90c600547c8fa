"""Batches of pairs, for losses that compare pictures of one landmark."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from landmarks.data.samplers.epoch import SEEDS, Draw, EpochBatches
from landmarks.errors import LandmarksError


class PairBatches(EpochBatches):
    """Batches by class for pair losses: batch / 2 landmarks, two different pictures of each.

    Laid out anchor, positive, anchor, positive…, no landmark twice in a batch (nor in the same step of
    another rank). An epoch has as many batches as fit the pictures of landmarks that have at least two. The
    layout is the one of the released npairs model, after Sohn, "Improved Deep Metric Learning with
    Multi-class N-pair Loss Objective", NIPS 2016.

    Args:
        landmarks: int32 [N], landmark of each picture; -1 and landmarks of one picture are never drawn.
        batch_size: Pictures in a batch of one rank, even.
        seed: Of the whole run.
        rank: This process.
        world_size: Processes that share the epoch.

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
    ) -> None:
        super().__init__(batch_size, seed, rank, world_size)
        if batch_size % 2:
            raise LandmarksError(f"data.batch_size is {batch_size}: a batch of pairs must be even")
        labelled = np.flatnonzero(landmarks >= 0)
        self._rows = labelled[np.argsort(landmarks[labelled], kind="stable")]  # pictures of a landmark side by side
        _, starts, counts = np.unique(landmarks[self._rows], return_index=True, return_counts=True)
        self._starts, self._counts = starts[counts >= 2], counts[counts >= 2]
        pairs = batch_size // 2 * world_size
        if len(self._starts) < pairs:
            raise LandmarksError(
                f"{len(self._starts)} landmarks have two or more training images, but {world_size} "
                f"batch(es) of {batch_size // 2} pairs need {pairs} different ones; set data.batch_size to at most "
                f"{len(self._starts) // world_size * 2} or train on a split with more landmarks"
            )

    def __len__(self) -> int:
        return max(1, int(self._counts.sum()) // (self.batch_size * self.world_size))

    def __iter__(self) -> Iterator[list[Draw]]:
        pairs = self.batch_size // 2
        for batch in range(self._start(), len(self)):
            random = np.random.default_rng([self.seed, self.epoch, batch])
            chosen = random.choice(len(self._starts), size=pairs * self.world_size, replace=False)
            counts = self._counts[chosen]
            anchor = random.integers(counts)
            positive = random.integers(counts - 1)
            positive += positive >= anchor  # uniform over the landmark's other pictures
            seeds = random.integers(SEEDS, size=(len(chosen), 2))
            rows = self._rows[self._starts[chosen][:, None] + np.stack([anchor, positive], axis=1)]
            mine = slice(self.rank * pairs, (self.rank + 1) * pairs)
            yield list(zip(rows[mine].ravel().tolist(), seeds[mine].ravel().tolist(), strict=True))
