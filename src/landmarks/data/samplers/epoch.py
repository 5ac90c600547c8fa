"""What training samplers share. See the package for why they are functions of (seed, epoch).

Every draw carries its own seed for augmentation, so that a run is the same with any number of workers, and a
resumed epoch can start at any batch. All ranks draw the same global batches and take their own part of each,
so they never disagree about the number of batches.

Images may be in groups, of one aspect ratio say. A step then holds images of one group only, on all ranks,
so that all of them can be cut to the same shape.
"""

import hashlib
from abc import ABC, abstractmethod
from typing import Self, TypedDict

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from landmarks.errors import LandmarksError

Draw = tuple[int, int]  # a row of the table, and the seed of its augmentation
Groups = NDArray[np.integer]  # [N], at least 0: the group of each image
SEEDS = 2**63


class Share(TypedDict, total=False):
    """What every training sampler takes: the run's `seed`, this process and all of them, and a group for each image."""

    seed: int
    rank: int
    world_size: int
    groups: Groups | None


class EpochBatches(Sampler[list[Draw]], ABC):
    """What training samplers share: an epoch to set, a place to go on from, a rank's share."""

    def __init__(
        self, batch_size: int, seed: int = 0, rank: int = 0, world_size: int = 1, groups: Groups | None = None
    ) -> None:
        if batch_size < 1 or not 0 <= rank < world_size:
            raise LandmarksError(f"batch_size {batch_size}, rank {rank} of {world_size}: not possible")
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.groups = groups
        self.epoch = 0
        self._resumed = (-1, 0)  # an epoch and its first batch to draw

    @abstractmethod
    def __len__(self) -> int:
        """Batches of a rank in every epoch."""

    @property
    def sampler(self) -> Self:
        """Lightning looks here for what to call `set_epoch` on."""
        return self

    @property
    def step(self) -> int:
        """Images of one batch of all ranks together."""
        return self.batch_size * self.world_size

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration draws."""
        self.epoch = epoch

    def resume_at(self, epoch: int, batch: int) -> None:
        """Leave out the first `batch` batches of `epoch`, which an interrupted run has seen; only of that epoch."""
        self.epoch = epoch
        self._resumed = (epoch, batch)

    @property
    def first(self) -> int:
        """The batch that an iteration over the chosen epoch begins with."""
        epoch, batch = self._resumed
        return batch if epoch == self.epoch else 0

    def identity(self) -> dict[str, int | float | str]:
        """Everything but the table that decides what an epoch draws, by the name that people know it by."""
        groups = "none" if self.groups is None else fingerprint(self.groups)
        return {
            "the sampler": type(self).__name__,
            "seed": self.seed,
            "data.batch_size": self.batch_size,
            "the number of devices": self.world_size,
            "the grouping of images": groups,
        }


def fingerprint(*arrays: NDArray[np.generic]) -> str:
    """Return 16 hex digits that change when an element of any array does, its order included."""
    digest = hashlib.blake2b(digest_size=8)
    for array in arrays:
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
