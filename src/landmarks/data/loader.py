"""A DataLoader whose position in the epoch is saved in checkpoints, so that a resumed run sees the remaining batches.

Lightning saves and loads the state of every loader that has `state_dict` and `load_state_dict`. The position counts
the batches handed to the training loop; batches that workers have prefetched are lost with the run. Because samplers
are functions of (seed, epoch), this count and the epoch are the whole state.
"""

from collections.abc import Callable, Iterator
from math import prod
from typing import Any, Protocol, cast

import cv2
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset

from landmarks.data.samplers import Draw, EpochBatches, fingerprint
from landmarks.data.source import ImageSet
from landmarks.errors import LandmarksError

SHARE = ("data.batch_size", "the number of devices")  # all ranks draw the batches of both together


class TrainingImages(Protocol):
    """A dataset that is indexed by what a training sampler draws."""

    images: ImageSet

    def __getitem__(self, draw: Draw) -> Any:
        """Return one image, by its row and the seed of its augmentation."""


class ResumableLoader(DataLoader[Any]):
    """A loader of training batches that can resume in the middle of an epoch.

    Between epochs anything about the data may change. Within an epoch the remaining batches are the same only for the
    same table, sampler, seed and batch of all devices together.

    Args:
        dataset: The training images.
        batches: The sampler.
        **options: Passed on to DataLoader.
    """

    def __init__(self, dataset: TrainingImages, batches: EpochBatches, **options: Any) -> None:
        super().__init__(cast("Dataset[Any]", dataset), batch_sampler=batches, **options)
        self._batches = batches
        self._images = dataset.images.table
        self._handed = 0
        self._resumed: dict[str, Any] | None = None

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        """Yield the remaining batches of the chosen epoch.

        The workers start with the first `next`, because Lightning creates the iterator of a resumed run before it sets
        the epoch.

        Raises:
            LandmarksError: The epoch was begun with other images or settings.
        """
        self.require_same(self._batches.epoch)
        self._handed = self._batches.first
        for batch in super().__iter__():
            self._handed += 1
            yield batch

    def state_dict(self) -> dict[str, Any]:
        """Return the epoch, how many of its batches a rank has received, and what the batches depend on."""
        return {"epoch": self._batches.epoch, "batches": self._handed, "identity": self._identity()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume where `state` was saved, when that epoch starts."""
        self._resumed = state
        self._handed = state["batches"]
        over = state.get("over", False)  # of that epoch nothing is left, however many batches it has now
        self._batches.resume_at(state["epoch"], len(self._batches) if over else state["batches"])

    def _identity(self) -> dict[str, int | float | str]:
        table = self._images
        return self._batches.identity() | {
            "the number of training images": len(table),
            "the table of training images": fingerprint(table.ids, table.landmarks),
        }

    def require_same(self, epoch: int) -> None:
        """Raise LandmarksError if an epoch would be resumed with other batches than it was begun with."""
        if self._resumed is None or self._resumed["epoch"] != epoch or self._resumed.get("over", False):
            return
        before, now = self._resumed["identity"], self._identity()
        free = SHARE if prod(before[name] for name in SHARE) == prod(now[name] for name in SHARE) else ()
        changed = [
            f"  {name}: was {before.get(name)}, is {now.get(name)}"
            for name in dict.fromkeys([*before, *now])
            if before.get(name) != now.get(name) and name not in free
        ]
        if changed:
            raise LandmarksError(
                "The checkpoint was written in the middle of an epoch, and its remaining batches would now differ:\n"
                + "\n".join(changed)
                + "\nRestore these values to resume, or start a new run."
            )


class ResumableDataModule(pl.LightningDataModule):
    """A data module whose position in the epoch is saved in checkpoints.

    Lightning's own loader states are not enough: they are not loaded if the length of the schedule was computed first.

    Args:
        num_workers: Processes that read images; 0 reads in the main process.
    """

    def __init__(self, num_workers: int) -> None:
        super().__init__()
        self.num_workers = num_workers
        self._train_loader: ResumableLoader | None = None
        self._resumed: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        """Return the place in the epoch, for a checkpoint."""
        if self._train_loader is None:
            return {}
        place = self._train_loader.state_dict()
        over = self.trainer is not None and place["batches"] >= self.trainer.num_training_batches
        return {"train_loader": place | {"over": over}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Make the next training loader resume from the position in `state_dict`."""
        self._resumed = state_dict["train_loader"]

    def require_resumable(self) -> None:
        """Raise the errors of the first batch before any work; call this after `load_state_dict`."""
        if self._resumed is not None and self._train_loader is not None:
            self._train_loader.require_same(self._resumed["epoch"])

    def _training_loader(
        self, dataset: TrainingImages, batches: EpochBatches, collate: Callable[[Any], Any]
    ) -> ResumableLoader:
        """Make the training loader, with persistent workers, at the position that was loaded."""
        self._train_loader = ResumableLoader(
            dataset, batches, **self._options(collate), persistent_workers=self.num_workers > 0
        )
        if self._resumed is not None:
            self._train_loader.load_state_dict(self._resumed)
        return self._train_loader

    def _options(self, collate: Callable[[Any], Any]) -> dict[str, Any]:
        """Return the options that all loaders of the module share."""
        return {
            "collate_fn": collate,
            "num_workers": self.num_workers,
            "worker_init_fn": single_thread,
            "pin_memory": torch.cuda.is_available(),
        }

    def _rank(self) -> tuple[int, int]:
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)


def require_least(**settings: tuple[float, float]) -> None:
    """Raise LandmarksError for the first setting below its minimum.

    Args:
        **settings: (value, minimum) of each setting, by its key in `data`.
    """
    for key, (value, least) in settings.items():
        if value < least:
            raise LandmarksError(f"data.{key} is {value}: it must be {least} or more")


def single_thread(worker: int) -> None:
    """Limit OpenCV to one thread in a DataLoader worker: otherwise every worker would use all cores."""
    cv2.setNumThreads(0)
