"""Rows to pictures, in DataLoader workers, and pictures to batches.

A picture that cannot be read becomes an `Unreadable`: it travels through the collate function to the training
process, which counts and names it. Nothing takes its place in the batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from landmarks.data.decode import UnreadableImageError, decode
from landmarks.data.ids import format_id
from landmarks.data.samplers.epoch import Draw
from landmarks.data.source import ImageSet
from landmarks.data.stores.store import MissingImageError
from landmarks.data.transforms import Augmentation, EvalResize


@dataclass(frozen=True, eq=False)
class Sample:
    """A picture ready for a batch: `image` uint8 [H, W, 3], its row in the table, its landmark (-1 none)."""

    image: NDArray[np.uint8]
    row: int
    landmark: int


@dataclass(frozen=True)
class Unreadable:
    """A picture that could not be read: its id in 16 digits, and why."""

    image_id: str
    reason: str


class TrainDataset(Dataset[Sample | Unreadable]):
    """Augmented training pictures, indexed by (row, seed).

    Args:
        images: What to read.
        augmentation: Gives uint8 [S, S, 3].
        read_short_side: Large JPEGs are decoded at 1/2, 1/4 or 1/8 while their short side keeps this many
            pixels; None decodes them in full.
    """

    def __init__(self, images: ImageSet, augmentation: Augmentation, read_short_side: int | None = None) -> None:
        self.images = images
        self.augmentation = augmentation
        self.read_short_side = read_short_side

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, draw: Draw) -> Sample | Unreadable:
        row, seed = draw
        image = _read(self.images, row, self.read_short_side)
        if isinstance(image, Unreadable):
            return image
        try:
            augmented = self.augmentation(image, seed)
        except Exception as error:
            name = format_id(self.images.table.ids[row])
            error.add_note(f"while augmenting image {name}, shape {image.shape}, with seed {seed}")
            raise
        return Sample(augmented, row, int(self.images.table.landmarks[row]))


class EvalDataset(Dataset[Sample | Unreadable]):
    """Pictures decoded in full and resized without chance, indexed by row.

    Args:
        images: What to read.
        resize: uint8 [H, W, 3] -> uint8 [H', W', 3].
    """

    def __init__(self, images: ImageSet, resize: EvalResize) -> None:
        self.images = images
        self.resize = resize

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> Sample | Unreadable:
        image = _read(self.images, row, None)
        if isinstance(image, Unreadable):
            return image
        return Sample(self.resize(image), row, int(self.images.table.landmarks[row]))


def _read(images: ImageSet, row: int, min_short_side: int | None) -> NDArray[np.uint8] | Unreadable:
    try:
        return decode(images.read(row), min_short_side)
    except (UnreadableImageError, MissingImageError) as error:
        return Unreadable(format_id(images.table.ids[row]), str(error))


def collate_train(samples: Sequence[Sample | Unreadable], group: int = 1) -> dict[str, Any]:
    """Put augmented pictures together.

    Args:
        samples: Pictures of one size, in the order of the sampler.
        group: Consecutive pictures that belong together. With 2, an unreadable picture takes its pair with
            it, and what remains is still anchor, positive, anchor, positive…

    Returns:
        `image` uint8 [B, 3, S, S] (channels last in memory), `landmark` int64 [B], `row` int64 [B], and
        `unreadable`, a list of (id, reason). B shrinks by what could not be read, down to an empty [0, 3, 0,
        0].
    """
    groups = [samples[start : start + group] for start in range(0, len(samples), group)]
    kept = [
        sample
        for members in groups
        if all(isinstance(member, Sample) for member in members)
        for sample in members
        if isinstance(sample, Sample)
    ]
    return {
        "image": _stack(kept),
        "landmark": torch.tensor([sample.landmark for sample in kept], dtype=torch.int64),
        "row": torch.tensor([sample.row for sample in kept], dtype=torch.int64),
        "unreadable": _unreadable(samples),
    }


def collate_eval(samples: Sequence[Sample | Unreadable]) -> dict[str, Any]:
    """Put pictures of several shapes together.

    Args:
        samples: Pictures of any sizes.

    Returns:
        `groups`, a list with one dict for each shape among the pictures: `image` uint8 [b, 3, H, W] and `row`
        int64 [b]; and `unreadable`, a list of (id, reason).
    """
    shapes: dict[tuple[int, ...], list[Sample]] = {}
    for sample in samples:
        if isinstance(sample, Sample):
            shapes.setdefault(sample.image.shape, []).append(sample)
    return {
        "groups": [
            {"image": _stack(group), "row": torch.tensor([sample.row for sample in group], dtype=torch.int64)}
            for group in shapes.values()
        ],
        "unreadable": _unreadable(samples),
    }


def _stack(samples: Sequence[Sample]) -> Tensor:
    if not samples:
        return torch.empty((0, 3, 0, 0), dtype=torch.uint8)
    return torch.from_numpy(np.stack([sample.image for sample in samples])).permute(0, 3, 1, 2)


def _unreadable(samples: Sequence[Sample | Unreadable]) -> list[tuple[str, str]]:
    return [(sample.image_id, sample.reason) for sample in samples if isinstance(sample, Unreadable)]
