"""Every picture once an epoch."""

from collections.abc import Iterator

import numpy as np

from landmarks.data.samplers.epoch import SEEDS, Draw, EpochBatches
from landmarks.errors import LandmarksError


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
        seeds = random.integers(SEEDS, size=self.num_images)
        step = self.batch_size * self.world_size
        for batch in range(self._start(), len(self)):
            mine = slice(batch * step + self.rank, (batch + 1) * step, self.world_size)
            yield list(zip(order[mine].tolist(), seeds[mine].tolist(), strict=True))
