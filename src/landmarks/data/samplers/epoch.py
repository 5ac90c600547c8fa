"""The base class of training samplers. See the package for why they are functions of (seed, epoch).

Every draw carries its own seed for augmentation, so that a run does not depend on the number of workers and a
resumed epoch can start at any batch. All ranks draw the same global batches and take their own part of each,
so that they always have the same number of batches.

Images may be in groups, for example by aspect ratio. A step then holds images of one group only, on all ranks,
so that all of them can be cropped to the same shape.
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
    """The arguments that all training samplers share.

    Attributes:
        seed: Seed of the run.
        rank: This process, 0 <= rank < world_size.
        world_size: Number of processes.
        groups: Group of each image, int [N], at least 0; None for no groups.
    """

    seed: int
    rank: int
    world_size: int
    groups: Groups | None


class EpochBatches(Sampler[list[Draw]], ABC):
    """Base class of training samplers: it holds the epoch, the batch to resume at and the rank's share."""

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
        """Return the number of batches of a rank in every epoch."""

    @property
    def sampler(self) -> Self:
        """This sampler: Lightning calls `set_epoch` on the attribute of this name."""
        return self

    @property
    def step(self) -> int:
        """Number of images in one batch of all ranks together."""
        return self.batch_size * self.world_size

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration draws."""
        self.epoch = epoch

    def resume_at(self, epoch: int, batch: int) -> None:
        """Skip the first `batch` batches of `epoch`, which an interrupted run has seen; other epochs are complete."""
        self.epoch = epoch
        self._resumed = (epoch, batch)

    @property
    def first(self) -> int:
        """The batch that an iteration over the chosen epoch begins with."""
        epoch, batch = self._resumed
        return batch if epoch == self.epoch else 0

    def identity(self) -> dict[str, int | float | str]:
        """Return everything besides the table that determines what an epoch draws, by readable names."""
        groups = "none" if self.groups is None else fingerprint(self.groups)
        return {
            "the sampler": type(self).__name__,
            "seed": self.seed,
            "data.batch_size": self.batch_size,
            "the number of devices": self.world_size,
            "the grouping of images": groups,
        }


def fingerprint(*arrays: NDArray[np.generic]) -> str:
    """Return 16 hex digits that change when an element of any array or the order of elements changes."""
    digest = hashlib.blake2b(digest_size=8)
    for array in arrays:
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
