"""A DataLoader whose place in the epoch goes into checkpoints, so that a resumed run sees what it had left.

Lightning saves and loads the state of every loader that has `state_dict` and `load_state_dict`. What counts are the
batches handed to the training loop: workers have drawn more of them ahead, which are lost with the run. Samplers
being functions of (seed, epoch), that number and the epoch are the whole state.
"""

from collections.abc import Callable, Iterator
from typing import Any, Protocol, cast

import cv2
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset

from landmarks.data.samplers import Draw, EpochBatches, fingerprint
from landmarks.data.source import ImageSet
from landmarks.errors import LandmarksError


class TrainingImages(Protocol):
    """A data set that a sampler draws from."""

    images: ImageSet

    def __getitem__(self, draw: Draw) -> Any:
        """One image, by its row and the seed of its augmentation."""


class ResumableLoader(DataLoader[Any]):
    """Training batches from a place in an epoch on.

    Between epochs anything about the data may change. In the middle of one the batches that are left exist only
    for the same table, sampler, batch size, seed and number of devices. Options are those of DataLoader.
    """

    def __init__(self, dataset: TrainingImages, batches: EpochBatches, **options: Any) -> None:
        super().__init__(cast("Dataset[Any]", dataset), batch_sampler=batches, **options)
        self._batches = batches
        self._images = dataset.images.table
        self._handed = 0
        self._resumed: dict[str, Any] | None = None

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        """Yield the batches of the chosen epoch that are left; refuse one that was begun with other images.

        The workers start with the first `next`: Lightning asks for the iterator of a resumed run before it sets the
        epoch.
        """
        self.require_same(self._batches.epoch)
        self._handed = self._batches.first
        for batch in super().__iter__():
            self._handed += 1
            yield batch

    def state_dict(self) -> dict[str, Any]:
        """Return the epoch, how many of its batches a rank was handed, and what they depend on."""
        return {"epoch": self._batches.epoch, "batches": self._handed, "identity": self._identity()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state` was saved, once that epoch is begun."""
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
        """Refuse to go on in the middle of an epoch with other batches than it was begun with."""
        if self._resumed is None or self._resumed["epoch"] != epoch or self._resumed.get("over", False):
            return
        before, now = self._resumed["identity"], self._identity()
        changed = [
            f"  {name}: was {before.get(name)}, is {now.get(name)}"
            for name in dict.fromkeys([*before, *now])
            if before.get(name) != now.get(name)
        ]
        if changed:
            raise LandmarksError(
                "The checkpoint was written in the middle of an epoch, whose batches are not the same any more:\n"
                + "\n".join(changed)
                + "\nResume with what it was, or start a new run."
            )


class ResumableDataModule(pl.LightningDataModule):
    """A data module whose place in the epoch goes into checkpoints.

    Lightning has a way of its own for states of loaders, but forgets to load them where the length of a schedule was
    asked for. Without workers images are read in the main process.
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
        """Make the next training loader go on from that place."""
        self._resumed = state_dict["train_loader"]

    def require_resumable(self) -> None:
        """Refuse before any work what the training loop would refuse at its first batch; after `load_state_dict`."""
        if self._resumed is not None and self._train_loader is not None:
            self._train_loader.require_same(self._resumed["epoch"])

    def _training_loader(
        self, dataset: TrainingImages, batches: EpochBatches, collate: Callable[[Any], Any]
    ) -> ResumableLoader:
        """Make the training loader, whose workers stay, at the place that was loaded."""
        self._train_loader = ResumableLoader(
            dataset, batches, **self._options(collate), persistent_workers=self.num_workers > 0
        )
        if self._resumed is not None:
            self._train_loader.load_state_dict(self._resumed)
        return self._train_loader

    def _options(self, collate: Callable[[Any], Any]) -> dict[str, Any]:
        """What all loaders of the module have."""
        return {
            "collate_fn": collate,
            "num_workers": self.num_workers,
            "worker_init_fn": single_thread,
            "pin_memory": torch.cuda.is_available(),
        }

    def _rank(self) -> tuple[int, int]:
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)


def require_least(**settings: tuple[float, float]) -> None:
    """Raise LandmarksError for the first of some settings, each with its least value, that lies below it."""
    for key, (value, least) in settings.items():
        if value < least:
            raise LandmarksError(f"data.{key} is {value}: it must be {least} or more")


def single_thread(worker: int) -> None:
    """Keep OpenCV to the worker's own core: its threads times the workers would fight for all cores."""
    cv2.setNumThreads(0)
