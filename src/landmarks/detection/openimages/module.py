"""The Lightning data module of detectors, which makes batches from the images and boxes of a source."""

import logging
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import DataLoader

from landmarks.data import (
    EpochBatches,
    Groups,
    ImageShapes,
    RepeatedBatches,
    ResumableDataModule,
    Root,
    ShapeBatches,
    Share,
    ShuffledBatches,
    group_shapes,
    open_root,
    repeat_factors,
    require_least,
)
from landmarks.detection.metrics import BoxTruth
from landmarks.detection.openimages.augmentation import BoxAugmentation
from landmarks.detection.openimages.dataset import DetectionDataset, DetectionResize, collate
from landmarks.detection.openimages.detection_set import DetectionSet
from landmarks.detection.openimages.source import OpenImages
from landmarks.recognition import DetectionClasses

log = logging.getLogger(__name__)


class DetectionDataModule(ResumableDataModule):
    """Makes training and validation batches from a source with boxes.

    Use it with `Trainer(use_distributed_sampler=False)`, since its samplers divide batches among ranks themselves.
    A batch is a dict of lists: `image` uint8 [3, H, W], `targets`, `id` and `unreadable`.

    Args:
        root: Folder of the images, passed to `source`.
        source: Makes a source, such as `OpenImages`, from a folder.
        image_size: Short side of the network's input, pixels.
        max_size: Maximal long side of the network's input, pixels.
        batch_size: Training images per batch and device.
        num_workers: Processes that read images; 0 reads in the main process.
        augmentation: Augmentation of training images; None for none.
        seed: Seed of batches, augmentation and the choice of validation images.
        eval_batch_size: Validation images per batch and device.
        validation_images: Number of validation images to use; None for all. Metrics on a sample serve to compare
            epochs.
        repeat_threshold: Share of the images below which a class is rare, so that its images are drawn several times
            per epoch (see `repeat_factors`); 0 draws each once.
        aspect_groups: Number of aspect ratios into which training images are grouped; a batch has images of one group
            and little padding. 0 mixes them.
        decode_margin: JPEGs are decoded at 1/2, 1/4 or 1/8 of their size if they are then still this many times as
            large as the network's input; 0 decodes at full size.
        min_side: Boxes with a smaller side than this, in pixels of the network's input, are not trained on.
        max_unreadable: Number of unreadable images that a run tolerates. The module only stores it; a callback counts.

    Attributes:
        train_set, val_set: DetectionSet, after `setup`.
        classes: DetectionClasses, after `setup`.
        truth: BoxTruth of `val_set`, expanded along the hierarchy, after `setup`.
    """

    train_set: DetectionSet
    val_set: DetectionSet
    classes: DetectionClasses
    truth: BoxTruth

    def __init__(
        self,
        root: str | Path,
        source: Callable[[Root], OpenImages],
        image_size: int,
        max_size: int,
        batch_size: int,
        num_workers: int,
        augmentation: BoxAugmentation | None = None,
        seed: int = 0,
        eval_batch_size: int = 8,
        validation_images: int | None = None,
        repeat_threshold: float = 0.0,
        aspect_groups: int = 0,
        decode_margin: float = 1.25,
        min_side: float = 1.0,
        max_unreadable: int = 100,
    ) -> None:
        super().__init__(num_workers)
        require_least(
            batch_size=(batch_size, 1),
            eval_batch_size=(eval_batch_size, 1),
            num_workers=(num_workers, 0),
            validation_images=(validation_images if validation_images is not None else 1, 1),
            repeat_threshold=(repeat_threshold, 0),
            aspect_groups=(aspect_groups, 0),
            decode_margin=(decode_margin, 0),
            min_side=(min_side, 0),
            max_unreadable=(max_unreadable, 0),
        )
        self.root = open_root(root)
        self.source = source(self.root)
        self.resize = DetectionResize(image_size, max_size)
        self.shapes = group_shapes(aspect_groups, image_size) if aspect_groups else []
        self.batch_size = batch_size
        self.augmentation = augmentation
        self.seed = seed
        self.eval_batch_size = eval_batch_size
        self.validation_images = validation_images
        self.repeat_threshold = repeat_threshold
        self.decode_margin = decode_margin
        self.min_side = min_side
        self.max_unreadable = max_unreadable
        self._is_set_up = False

    def prepare_data(self) -> None:
        """Check that all files exist; Lightning calls this in one process only."""
        self.source.prepare()

    def setup(self, stage: str | None = None) -> None:
        """Read the tables once; those of training images only for the stage "fit" or None."""
        if not self._is_set_up:
            if self.trainer is None:  # a Trainer would have called prepare_data
                self.prepare_data()
            self.classes = self.source.classes()
            self.val_set, self.truth = self._validation()
            self._is_set_up = True
        if stage in (None, "fit") and not hasattr(self, "train_set"):
            self.train_set = self.source.train()
            log.info(
                "train on %d images with %d boxes of %d classes",
                len(self.train_set),
                len(self.train_set.boxes.labels),
                len(np.unique(self.train_set.boxes.labels)),
            )

    def train_dataloader(self) -> DataLoader[Any]:
        """Return a loader of augmented batches. Raises LandmarksError if the images do not fill one batch."""
        images, boxes = self.train_set.images, self.train_set.boxes
        dataset = DetectionDataset(images, self.resize, boxes, self.augmentation, self.decode_margin, self.min_side)
        return self._training_loader(dataset, self._batches(), collate)

    def val_dataloader(self) -> DataLoader[Any]:
        """Return a loader of the batches of `val_set`, with each image once over all ranks."""
        images, boxes = self.val_set.images, self.val_set.boxes
        alike = np.zeros((len(images), 2), dtype=np.int64)
        return DataLoader(
            DetectionDataset(images, self.resize, boxes, decode_margin=self.decode_margin),
            batch_sampler=ShapeBatches(alike, self.eval_batch_size, *self._rank()),
            **self._options(collate),
        )

    def _validation(self) -> tuple[DetectionSet, BoxTruth]:
        whole, truth = self.source.validation(), self.source.truth()
        if self.validation_images is None or self.validation_images >= len(whole):
            return whole, truth
        random = np.random.default_rng([self.seed, 1])
        part = whole.take(np.sort(random.choice(len(whole), size=self.validation_images, replace=False)))
        return part, truth.of_images(part.images.table.ids)

    def _batches(self) -> EpochBatches:
        rank, world_size = self._rank()
        share = Share(seed=self.seed, rank=rank, world_size=world_size, groups=self._aspect_groups)
        boxes = self.train_set.boxes
        if not self.repeat_threshold:
            return ShuffledBatches(len(boxes), self.batch_size, **share)
        repeats = repeat_factors(boxes.start, boxes.labels, len(self.classes), self.repeat_threshold)
        return RepeatedBatches(repeats, self.batch_size, **share)

    @cached_property
    def _aspect_groups(self) -> Groups | None:
        if not self.shapes:
            return None
        return ImageShapes(self.root, self.num_workers).aspect_groups(self.train_set.images, self.shapes, cropped=False)
