"""Each rank's share of an evaluation set."""

from collections.abc import Iterator, Sequence

from torch.utils.data import Sampler

from landmarks.errors import LandmarksError


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
