"""Adapts the training samplers to any PyTorch dataset and training loop."""

from collections.abc import Iterator

from torch.utils.data import Sampler

from landmarks.data.samplers.epoch import EpochBatches


class PlainBatches(Sampler[list[int]]):
    """Batches of rows for `DataLoader(dataset, batch_sampler=…)`, without the augmentation seeds.

        batches = PlainBatches(PairBatches(labels, batch_size=32))

    Every iteration draws the next epoch; `set_epoch` chooses another one.

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
