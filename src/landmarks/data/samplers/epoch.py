"""What training samplers share. See the package for why they are functions of (seed, epoch).

Every draw carries its own seed for augmentation, so that a run is the same with any number of workers, and a
resumed epoch can start at any batch. All ranks draw the same global batches and take their own part of each,
so they never disagree about the number of batches.
"""

from typing import Self

from torch.utils.data import Sampler

from landmarks.errors import LandmarksError

Draw = tuple[int, int]  # a row of the table, and the seed of its augmentation
SEEDS = 2**63


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
