"""The Lightning data module: a source, its pictures through workers, batches out."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from landmarks.data.dataset import EvalDataset, TrainDataset, collate_eval, collate_train
from landmarks.data.samplers.epoch import EpochBatches
from landmarks.data.samplers.pairs import PairBatches
from landmarks.data.samplers.shards import ShardSampler
from landmarks.data.samplers.shuffled import ShuffledBatches
from landmarks.data.source import GroundTruth, ImageSet, Source
from landmarks.data.transforms import Augmentation, EvalResize
from landmarks.data.validation import ValidationSize, select_gallery, select_index, select_queries
from landmarks.errors import LandmarksError

ALL = ValidationSize()


class LandmarkDataModule(pl.LightningDataModule):
    """Training batches and the three evaluation sets of a source.

    Use it with `Trainer(use_distributed_sampler=False)`: its samplers shard themselves.

    Args:
        root: Folder of the pictures, handed to `source`.
        source: Makes a Source from a folder.
        image_size: Side of a training picture, pixels.
        augmentation: Training transforms; must give pictures of `image_size`.
        resize: Evaluation resize.
        batch_size: Training pictures in a batch of one device.
        num_workers: Processes that read pictures; 0 reads in the main process.
        pairs: Draw batches by class, laid out anchor, positive. May be set until `train_dataloader` is
            called.
        seed: Of batches, augmentation and validation samples.
        eval_batch_size: Evaluation pictures in a batch of one device.
        validation: How much of the evaluation sets to use.
        decode_margin: Large JPEGs are decoded at 1/2, 1/4 or 1/8 while their short side stays this many times
            `image_size`; a crop of a quarter of the picture then still needs no enlarging at 2. 0 decodes in
            full.
        max_unreadable: Unreadable pictures that a run tolerates. The module only carries it; a training
            callback counts and stops.

    Attributes:
        train_set, query_set, index_set, gallery_set: ImageSet, after `setup`.
        truth: GroundTruth, after `setup`.
    """

    train_set: ImageSet
    query_set: ImageSet
    index_set: ImageSet
    gallery_set: ImageSet
    truth: GroundTruth

    def __init__(
        self,
        root: str | Path,
        source: Callable[[Path], Source],
        image_size: int,
        augmentation: Augmentation,
        resize: EvalResize,
        batch_size: int,
        num_workers: int,
        pairs: bool = False,
        seed: int = 0,
        eval_batch_size: int = 32,
        validation: ValidationSize = ALL,
        decode_margin: float = 2.0,
        max_unreadable: int = 100,
    ) -> None:
        super().__init__()
        if augmentation.image_size != image_size:
            raise LandmarksError(
                f"augmentation.image_size is {augmentation.image_size} but data.image_size is {image_size}; "
                "set it to ${data.image_size}"
            )
        for key, value, least in (
            ("batch_size", batch_size, 1),
            ("eval_batch_size", eval_batch_size, 1),
            ("num_workers", num_workers, 0),
            ("max_unreadable", max_unreadable, 0),
            ("decode_margin", decode_margin, 0),
        ):
            if value < least:
                raise LandmarksError(f"data.{key} is {value}: it must be {least} or more")
        self.source: Source = source(Path(root))
        self.image_size = image_size
        self.augmentation = augmentation
        self.resize = resize
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.pairs = pairs
        self.seed = seed
        self.eval_batch_size = eval_batch_size
        self.validation = validation
        self.decode_margin = decode_margin
        self.max_unreadable = max_unreadable
        self._is_set_up = False

    def prepare_data(self) -> None:
        """Make or check the pictures; Lightning calls this on one process only."""
        self.source.prepare()

    def setup(self, stage: str | None = None) -> None:
        """Read the tables and choose the validation sets. The same for every stage, and done once."""
        if self._is_set_up:
            return
        if self.trainer is None:  # without a Trainer nobody has called prepare_data
            self.prepare_data()
        source = self.source
        self.truth = source.truth()
        self.train_set = source.train()
        self.query_set = select_queries(source.queries(), self.truth, self.validation)
        self.index_set = select_index(source.index(), self.truth, self.validation, self.seed)
        self.gallery_set = select_gallery(source.gallery(), self.validation, self.seed)
        self._is_set_up = True

    @property
    def num_landmarks(self) -> int:
        """Classes that training tells apart, after `setup`."""
        return self.train_set.table.num_landmarks

    def train_dataloader(self) -> DataLoader[Any]:
        """Batches of `collate_train`. Raises LandmarksError if the pictures do not fill one batch."""
        margin = round(self.decode_margin * self.image_size)
        rank, world_size = self._rank()
        batches: EpochBatches
        if self.pairs:
            table = self.train_set.table
            batches = PairBatches(table.landmarks, self.batch_size, self.seed, rank, world_size)
        else:
            batches = ShuffledBatches(len(self.train_set), self.batch_size, self.seed, rank, world_size)
        return DataLoader(
            TrainDataset(self.train_set, self.augmentation, read_short_side=margin or None),
            batch_sampler=batches,
            collate_fn=partial(collate_train, group=2 if self.pairs else 1),
            num_workers=self.num_workers,
            worker_init_fn=single_thread,
            persistent_workers=self.num_workers > 0,
            pin_memory=torch.cuda.is_available(),
        )

    def val_dataloader(self) -> list[DataLoader[Any]]:
        """Loaders of `collate_eval` batches: queries, index, gallery. `row` is one of the set's table."""
        return [self.eval_loader(images) for images in (self.query_set, self.index_set, self.gallery_set)]

    def test_dataloader(self) -> list[DataLoader[Any]]:
        """The same three loaders; `data.validation` says how much of the sets they cover."""
        return self.val_dataloader()

    def eval_loader(self, images: ImageSet) -> DataLoader[Any]:
        """Batches of `collate_eval` over this rank's share of any images, in the order of the table."""
        rank, world_size = self._rank()
        # Its workers end with it: three idle crews beside the training one would only hold memory.
        return DataLoader(
            EvalDataset(images, self.resize),
            batch_size=self.eval_batch_size,
            sampler=ShardSampler(len(images), rank, world_size),
            collate_fn=collate_eval,
            num_workers=self.num_workers,
            worker_init_fn=single_thread,
            pin_memory=torch.cuda.is_available(),
        )

    def _rank(self) -> tuple[int, int]:
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)


def single_thread(worker: int) -> None:
    """Keep OpenCV to the worker's own core: its threads times the workers would fight for all cores."""
    cv2.setNumThreads(0)
