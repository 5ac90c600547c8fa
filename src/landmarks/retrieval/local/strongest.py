"""The strongest features of every index image, numbered through: what enters the index of local search.

Memory and time of that index grow with the number of features, and weak ones are rarely found again, so each image
gives at most so many.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from landmarks.retrieval.local.table import LocalFeatureTable


@dataclass(frozen=True)
class StrongestFeatures:
    """A view of a table; descriptors are read when they are asked for.

    Attributes:
        table: features of n images, the strongest of each first.
        limit: the most that an image gives.
    """

    table: LocalFeatureTable
    limit: int

    @property
    def dim(self) -> int:
        """D, length of a descriptor."""
        return self.table.dim

    @property
    def keys(self) -> list[NDArray[np.generic]]:
        """What the features depend on, for keys of the cache: the content of the pictures."""
        return [self.table.keys, self.table.counts]

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """int64 [n], features that each image gives."""
        return np.minimum(self.table.counts, self.limit)

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """int64 [n + 1]: image i gives the features `starts[i]` to `starts[i + 1]`."""
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(self.counts)])

    def __len__(self) -> int:
        return int(self.starts[-1])

    def images(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The image of each feature, same shape as `rows`."""
        return np.searchsorted(self.starts, rows, side="right") - 1

    def rows(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Descriptors uint8 [stop - start, D] of consecutive features."""
        return self.at(np.arange(start, stop))

    def at(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Descriptors uint8 [B, D] of features [B]."""
        images = self.images(rows)
        return self.table.descriptors[self.table.starts[images] + rows - self.starts[images]]
