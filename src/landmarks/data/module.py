"""The Lightning data module, which makes batches from the images of a source."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from landmarks.data.dataset import EvalDataset, TrainDataset, collate_eval, collate_train
from landmarks.data.held_out import HeldOut, HeldOutSource
from landmarks.data.images import Augmentation, Preprocessing, ResizeRule, common_multiple
from landmarks.data.loader import ResumableDataModule, require_least
from landmarks.data.roots import Root, open_root
from landmarks.data.samplers import MakeBatches, by_loss, fingerprint
from landmarks.data.shapes import ImageShapes, group_shapes
from landmarks.data.source import GroundTruth, ImageSet, Source
from landmarks.data.validation import ValidationSize, select_gallery, select_index, select_queries

ALL = ValidationSize()
NOTHING = HeldOut()
AS_PUBLISHED = ResizeRule()

Split = Literal["queries", "index", "gallery", "train"]
EVALUATED: tuple[Split, ...] = ("queries", "index", "gallery")


class LandmarkDataModule(ResumableDataModule):
    """Makes training batches, and batches of the evaluation sets of a source.

    Use it with `Trainer(use_distributed_sampler=False)`, since its samplers divide batches among ranks themselves.

    Args:
        root: Folder or address of the images, passed to `source`.
        source: Makes a Source from a folder or an address.
        augmentation: Makes the training transforms for a given side in pixels, see `Augmentation`.
        image_size: Side of a training image, pixels; None takes that of `trained`.
        resize: How evaluation images are resized; `image_size` and `trained` fill in what it leaves open.
        batch_size: Training images per batch and device.
        num_workers: Processes that read images; 0 reads in the main process.
        pairs: Whether the loss needs batches of pairs: anchor, positive, anchor, positive…
        sampler: Decides which images make a batch.
        seed: Seed of batches, augmentation and validation samples.
        eval_batch_size: Evaluation images per batch and device.
        validation: How much of the evaluation sets to use.
        held_out: Validates on landmarks taken out of training instead of on the source's own evaluation sets.
        decode_margin: See TrainDataset.
        aspect_groups: Trains in batches of one aspect ratio, out of this many (see `group_shapes`), so that crops
            leave out less of an image. 0 trains on squares.
        max_unreadable: Number of unreadable images that a run tolerates. The module only stores it; a training
            callback counts them and stops the run.
        trained: The preprocessing with which the weights were trained; None for new weights.
        splits: Sets that `val_dataloader` reads, in this order. Without "gallery" and "train", training images and
            the gallery, which are most of the bytes of Google Landmarks v2, may be missing.
        scales: Factors of the input size at which images are read for evaluation.

    Attributes:
        preprocessing: The preprocessing of evaluation images, used by every job.
        train_set, query_set, index_set, gallery_set: ImageSet, after `setup`; the first and the last only exist if
            `splits` contains "gallery" or "train".
        truth: GroundTruth, after `setup`.
        evaluated: ImageSets that `val_dataloader` reads, by their names in `splits`, after `setup`.
    """

    train_set: ImageSet
    query_set: ImageSet
    index_set: ImageSet
    gallery_set: ImageSet
    truth: GroundTruth
    evaluated: dict[str, ImageSet]

    def __init__(
        self,
        root: str | Path,
        source: Callable[[Root], Source],
        augmentation: Callable[..., Augmentation],
        batch_size: int,
        num_workers: int,
        image_size: int | None = None,
        resize: ResizeRule = AS_PUBLISHED,
        pairs: bool = False,
        sampler: MakeBatches = by_loss,
        seed: int = 0,
        eval_batch_size: int = 32,
        validation: ValidationSize = ALL,
        held_out: HeldOut = NOTHING,
        decode_margin: float = 1.25,
        aspect_groups: int = 0,
        max_unreadable: int = 100,
        trained: Preprocessing | None = None,
        splits: Sequence[Split] = EVALUATED,
        scales: Sequence[float] = (1.0,),
    ) -> None:
        super().__init__(num_workers)
        require_least(
            batch_size=(batch_size, 1),
            eval_batch_size=(eval_batch_size, 1),
            num_workers=(num_workers, 0),
            max_unreadable=(max_unreadable, 0),
            decode_margin=(decode_margin, 0),
            aspect_groups=(aspect_groups, 0),
        )
        self.root = open_root(root)
        self.source: Source = source(self.root)
        if held_out.landmarks:
            self.source = HeldOutSource(self.source, held_out)
        self.preprocessing = resize.preprocessing(image_size, trained)
        self.side = image_size or self.preprocessing.short_side
        self._square = augmentation(image_size=self.side)
        self.aspect_groups = aspect_groups
        self.fit_network(self.preprocessing.patch)
        self.batch_size = batch_size
        self.pairs = pairs
        self.sampler = sampler
        self.seed = seed
        self.eval_batch_size = eval_batch_size
        self.validation = validation
        self.decode_margin = decode_margin
        self.max_unreadable = max_unreadable
        self.splits = tuple(splits)
        self.scales = tuple(float(scale) for scale in scales)
        # of the side of training images; workers see when it changes
        self._share = torch.ones((), dtype=torch.float64).share_memory_()
        self._trains = bool({"gallery", "train"} & set(splits))
        self._is_set_up = False

    def fit_network(self, patch: int) -> None:
        """Make the sides of images multiples of a network's `patch`; call it before images are read."""
        self.preprocessing = replace(self.preprocessing, patch=patch)
        self.shapes = group_shapes(self.aspect_groups, self.side, self._multiple) if self.aspect_groups else []
        self._augmentations = [self._square.reshaped(*shape) for shape in self.shapes] or [self._square]

    def input_shapes(self, training: bool = True) -> list[tuple[str, tuple[int, int]]]:
        """Return shapes (height, width) of images that a network will get, each with the settings that determine it.

        Evaluation images that keep their aspect ratio are represented by a square and by a 4:3 image.
        """
        key = f"data.aspect_groups={self.aspect_groups}" if self.shapes else f"data.image_size={self.side}"
        found = [(key, one.shape) for one in self._augmentations] if training else []
        mode, short_side = self.preprocessing.mode, self.preprocessing.short_side
        if mode == "square":  # only other scales are rounded
            found.append((f"data.image_size={short_side}", (short_side, short_side)))
        for scale in self.scales:
            sized = self.preprocessing.scaled(scale)
            key = f"data.resize.mode={mode} data.image_size={short_side}" + (f", scale {scale}" if scale != 1 else "")
            found += [(key, sized.shape(3, width)) for width in (3, 4)]
        return list(dict.fromkeys(found))

    def resize_training(self, share: float) -> None:
        """Give training images a share of their full sides; call it between epochs."""
        self._share.fill_(share)

    def training_shapes(self, share: float) -> list[tuple[int, int]]:
        """Return the shapes (height, width) of training images with a share of their full sides.

        Raises:
            LandmarksError: The augmentation cannot give images of another size.
        """
        return [one.shrunk(share, self._multiple).shape for one in self._augmentations]

    def prepare_data(self) -> None:
        """Check that all files exist; Lightning calls this in one process only."""
        self.source.prepare(training=self._trains)

    def setup(self, stage: str | None = None) -> None:
        """Read the tables and choose the validation sets, once and for all stages."""
        if self._is_set_up:
            return
        if self.trainer is None:  # a Trainer would have called prepare_data
            self.prepare_data()
        source = self.source
        self.truth = source.truth()
        self.query_set = select_queries(source.queries(), self.truth, self.validation)
        self.index_set = select_index(source.index(), self.truth, self.validation, self.seed)
        sets = {"queries": self.query_set, "index": self.index_set}
        if self._trains:
            self.train_set = source.train()
            self.gallery_set = select_gallery(source.gallery(), self.validation, self.seed)
            sets |= {"gallery": self.gallery_set, "train": self.train_set}
        self.evaluated = {name: sets[name] for name in self.splits}
        self._is_set_up = True

    @property
    def num_landmarks(self) -> int:
        """Number of classes in training, after `setup`."""
        return self.train_set.table.num_landmarks

    @property
    def sizes(self) -> dict[str, Any]:
        """Numbers of images in all sets and of landmarks, for `metrics.json`, after `setup`."""
        return {
            "train": len(self.train_set),
            "landmarks": self.num_landmarks,
            "queries": len(self.query_set),
            "index": len(self.index_set),
            "gallery": len(self.gallery_set),
            "validation": str(self.validation),
        }

    def evaluation_identity(self) -> dict[str, str]:
        """Return hashes that identify the evaluation sets and their truth, by name, after `setup`."""
        retrieval, recognition = self.truth.retrieval, self.truth.recognition
        arrays = [] if retrieval is None else [retrieval.query_ids, retrieval.public, retrieval.positives]
        arrays += [] if recognition is None else [recognition.image_ids, recognition.public, recognition.landmarks]
        return {name: images.identity() for name, images in self.evaluated.items()} | {"truth": fingerprint(*arrays)}

    def train_dataloader(self) -> DataLoader[Any]:
        """Return a loader of `collate_train` batches. Raises LandmarksError if the images do not fill one batch."""
        rank, world_size = self._rank()
        groups = self._aspect_groups
        batches = self.sampler(
            landmarks=self.train_set.table.landmarks,
            batch_size=self.batch_size,
            seed=self.seed,
            rank=rank,
            world_size=world_size,
            groups=groups,
            pairs=self.pairs,
        )
        dataset = TrainDataset(
            self.train_set, self._augmentations, groups, self.decode_margin, self._share, self._multiple
        )
        return self._training_loader(dataset, batches, partial(collate_train, group=2 if self.pairs else 1))

    def val_dataloader(self) -> list[DataLoader[Any]]:
        """Return a loader of `collate_eval` batches for each set in `evaluated`; `row` refers to the set's table."""
        return [self.eval_loader(images) for images in self.evaluated.values()]

    def test_dataloader(self) -> list[DataLoader[Any]]:
        """Return the loaders of `val_dataloader`."""
        return self.val_dataloader()

    def eval_loader(
        self, images: ImageSet, done: NDArray[np.uint64] | None = None, ranks: tuple[int, int] | None = None
    ) -> DataLoader[Any]:
        """Return a loader of `collate_eval` batches over a rank's share of some images.

        If images keep their aspect ratio, each batch has one shape, and the order differs from that of the table.

        Args:
            images: Any images.
            done: Ids to leave out, uint64 [n].
            ranks: (rank, number of ranks); by default the trainer's.
        """
        resizes = [self.preprocessing.scaled(scale) for scale in self.scales]
        left_out = None if done is None else np.isin(images.table.ids, done)
        # No persistent workers: those of three idle loaders would only take up memory during training.
        return DataLoader(
            EvalDataset(images, resizes),
            batch_sampler=self._image_shapes.evaluation_batches(
                images, resizes, self.eval_batch_size, *(ranks or self._rank()), left_out
            ),
            **self._options(collate_eval),
        )

    @property
    def _multiple(self) -> int:
        return common_multiple(self.preprocessing.patch)

    @cached_property
    def _aspect_groups(self) -> NDArray[np.int8] | None:
        return self._image_shapes.aspect_groups(self.train_set, self.shapes) if self.shapes else None

    @property
    def _image_shapes(self) -> ImageShapes:
        return ImageShapes(self.root, self.num_workers)
