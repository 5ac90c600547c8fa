"""Our batches for anybody's data set and loop."""

from collections.abc import Iterator

from torch.utils.data import Sampler

from landmarks.data.samplers.epoch import EpochBatches


class PlainBatches(Sampler[list[int]]):
    """Batches of rows, as torch's `DataLoader(dataset, batch_sampler=…)` takes them, of any data set.

        batches = PlainBatches(PairBatches(labels, batch_size=32))

    Ours also say which seed augments each image; this leaves the seeds out. Every iteration is the next epoch, until
    `set_epoch` says otherwise.

    Args:
        batches: `ShuffledBatches`, `BalancedBatches` or `PairBatches`.
    """

    def __init__(self, batches: EpochBatches) -> None:
        self.batches = batches
        self.set_epoch(0)

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[int]]:
        self.batches.set_epoch(self._next)
        self._next += 1
        for batch in self.batches:
            yield [row for row, _ in batch]

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration draws."""
        self._next = epoch
