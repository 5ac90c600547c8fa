"""Which pictures make a batch, as functions of (seed, epoch) alone.

Every draw carries its own seed for augmentation, so that a run is the same with any number of workers, and a
resumed epoch can start at any batch. All ranks draw the same global batches and take their own part of each,
so they never disagree about the number of batches.
"""

from collections.abc import Iterator, Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from landmarks.errors import LandmarksError

Draw = tuple[int, int]  # a row of the table, and the seed of its augmentation
_SEEDS = 2**63


class EpochBatches(Sampler[list[Draw]]):
    """What the two training samplers share: an epoch to set, a place to go on from, a rank's share."""

    def __init__(self, batch_size: int, seed: int, rank: int, world_size: int) -> None:
        if batch_size < 1 or not 0 <= rank < world_size:
            raise LandmarksError(f"batch_size {batch_size}, rank {rank} of {world_size}: not possible")
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0
        self._resumed = (-1, 0)  # an epoch and its first batch to draw

    @property
    def sampler(self) -> Self:
        """Lightning looks here for what to call `set_epoch` on."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration draws."""
        self.epoch = epoch

    def resume_at(self, epoch: int, batch: int) -> None:
        """Leave out the first `batch` batches of `epoch`, which an interrupted run has seen; only of that epoch."""
        self.epoch = epoch
        self._resumed = (epoch, batch)

    def _start(self) -> int:
        epoch, batch = self._resumed
        return batch if epoch == self.epoch else 0


class ShuffledBatches(EpochBatches):
    """Every epoch a new permutation of all pictures, cut into batches; the incomplete last is left out.

    Args:
        num_images: N, pictures in the table.
        batch_size: Pictures in a batch of one rank.
        seed: Of the whole run.
        rank: This process, 0 <= rank < world_size.
        world_size: Processes that share the epoch.

    Raises:
        LandmarksError: N is smaller than one batch over all ranks.
    """

    def __init__(self, num_images: int, batch_size: int, seed: int = 0, rank: int = 0, world_size: int = 1) -> None:
        super().__init__(batch_size, seed, rank, world_size)
        self.num_images = num_images
        if num_images < batch_size * world_size:
            raise LandmarksError(
                f"{num_images} training images do not fill one batch of {batch_size} on {world_size} "
                "device(s); "
                f"set data.batch_size to at most {num_images // world_size}"
            )

    def __len__(self) -> int:
        return self.num_images // (self.batch_size * self.world_size)

    def __iter__(self) -> Iterator[list[Draw]]:
        random = np.random.default_rng([self.seed, self.epoch])
        order = random.permutation(self.num_images)
        seeds = random.integers(_SEEDS, size=self.num_images)
        step = self.batch_size * self.world_size
        for batch in range(self._start(), len(self)):
            mine = slice(batch * step + self.rank, (batch + 1) * step, self.world_size)
            yield list(zip(order[mine].tolist(), seeds[mine].tolist(), strict=True))


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
            seeds = random.integers(_SEEDS, size=(len(chosen), 2))
            rows = self._rows[self._starts[chosen][:, None] + np.stack([anchor, positive], axis=1)]
            mine = slice(self.rank * pairs, (self.rank + 1) * pairs)
            yield list(zip(rows[mine].ravel().tolist(), seeds[mine].ravel().tolist(), strict=True))


class ShardSampler(Sampler[int]):
    """Each row of an evaluation set on exactly one rank: `rank::world_size`, without padding.

    Args:
        num_images: N.
        rank: This process.
        world_size: Processes that share the set.
    """

    def __init__(self, num_images: int, rank: int = 0, world_size: int = 1) -> None:
        if not 0 <= rank < world_size:
            raise LandmarksError(f"rank {rank} of {world_size}: not possible")
        self.rows: Sequence[int] = range(rank, num_images, world_size)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[int]:
        return iter(self.rows)
