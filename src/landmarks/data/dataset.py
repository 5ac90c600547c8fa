"""Rows to images, in DataLoader workers, and images to batches.

An image that cannot be read becomes an `Unreadable`: it travels through the collate function to the training
process, which counts and names it. Nothing takes its place in the batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from landmarks.data.images import Augmentation, Preprocessing, UnreadableImageError, decode, largest_divisor, open_image
from landmarks.data.samplers import Draw
from landmarks.data.source import ImageSet
from landmarks.data.stores import MissingImageError
from landmarks.errors import LandmarksError
from landmarks.ids import format_id


@dataclass(frozen=True, eq=False)
class Sample:
    """An image ready for a batch: `image` uint8 [H, W, 3], its row in the table, its landmark (-1 none)."""

    image: NDArray[np.uint8]
    row: int
    landmark: int


@dataclass(frozen=True, eq=False)
class Views:
    """An image ready to be embedded: `images` uint8 [H, W, 3] at each scale, and its row in the table."""

    images: tuple[NDArray[np.uint8], ...]
    row: int


@dataclass(frozen=True)
class Unreadable:
    """An image that could not be read: its id in 16 digits, and why, in a sentence that names it."""

    image_id: str
    reason: str


class TrainDataset(Dataset[Sample | Unreadable]):
    """Augmented training images, indexed by (row, seed).

    Args:
        images: What to read.
        augmentations: One, or one for each group of images.
        groups: Which augmentation each row gets, int [N]; None where there is one.
        decode_margin: JPEGs are decoded at 1/2, 1/4 or 1/8 where what the augmentation shows of them is then
            still this many times as high and as wide as its output. At 1 nothing has to be enlarged, below 1.25
            the output is visibly softer; 0 decodes in full.
    """

    def __init__(
        self,
        images: ImageSet,
        augmentations: Sequence[Augmentation],
        groups: NDArray[np.integer] | None = None,
        decode_margin: float = 0.0,
    ) -> None:
        self.images = images
        self.augmentations = augmentations
        self.groups = groups
        self.decode_margin = decode_margin

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, draw: Draw) -> Sample | Unreadable:
        row, seed = draw
        augmentation = self.augmentations[0 if self.groups is None else self.groups[row]]
        try:
            encoded = open_image(self.images.read(row))
            size = encoded.height, encoded.width
            shrink = augmentation.shrink(*size, seed) / self.decode_margin if self.decode_margin else 1.0
            image = encoded.decode(largest_divisor(shrink))
        except (UnreadableImageError, MissingImageError) as error:
            return unreadable(self.images, row, error)
        try:
            augmented = augmentation(image, seed, size)
        except Exception as error:
            error.add_note(f"while augmenting image {self.images.name(row)}, shape {image.shape}, with seed {seed}")
            raise
        return Sample(augmented, row, int(self.images.table.landmarks[row]))


class EvalDataset(Dataset[Views | Unreadable]):
    """Images decoded in full, once, and resized without chance to each scale, indexed by row.

    Args:
        images: What to read.
        resizes: uint8 [H, W, 3] -> uint8 [H', W', 3], one for each scale.
    """

    def __init__(self, images: ImageSet, resizes: Sequence[Preprocessing]) -> None:
        self.images = images
        self.resizes = resizes

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> Views | Unreadable:
        try:
            image = decode(self.images.read(row))
        except (UnreadableImageError, MissingImageError) as error:
            return unreadable(self.images, row, error)
        return Views(tuple(resize(image) for resize in self.resizes), row)


def unreadable(images: ImageSet, row: int, error: LandmarksError) -> Unreadable:
    """Say which image of a set could not be read, and why."""
    why = str(error) if isinstance(error, MissingImageError) else f"image {images.name(row)}: {error}"
    return Unreadable(format_id(images.table.ids[row]), why)


def collate_train(samples: Sequence[Sample | Unreadable], group: int = 1) -> dict[str, Any]:
    """Put augmented images together.

    Args:
        samples: Images of one size, in the order of the sampler.
        group: Consecutive images that belong together. With 2, an unreadable image takes its pair with
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
        "image": _stack([sample.image for sample in kept]),
        "landmark": torch.tensor([sample.landmark for sample in kept], dtype=torch.int64),
        "row": torch.tensor([sample.row for sample in kept], dtype=torch.int64),
        "unreadable": _failures(samples),
    }


def collate_eval(samples: Sequence[Views | Unreadable]) -> dict[str, Any]:
    """Put images of several shapes together.

    Args:
        samples: Images of any sizes, all at the same scales.

    Returns:
        `groups`, a list with one dict for images of the same shape at every scale: `images`, one uint8 [b, 3, H, W]
        for each scale, and `row` int64 [b]; and `unreadable`, a list of (id, reason).
    """
    shapes: dict[tuple[tuple[int, ...], ...], list[Views]] = {}
    for sample in samples:
        if isinstance(sample, Views):
            shapes.setdefault(tuple(image.shape for image in sample.images), []).append(sample)
    return {
        "groups": [
            {
                "images": [_stack(scale) for scale in zip(*(views.images for views in group), strict=True)],
                "row": torch.tensor([views.row for views in group], dtype=torch.int64),
            }
            for group in shapes.values()
        ],
        "unreadable": _failures(samples),
    }


def _stack(images: Sequence[NDArray[np.uint8]]) -> Tensor:
    if not images:
        return torch.empty((0, 3, 0, 0), dtype=torch.uint8)
    # In a worker, default_collate writes straight into the memory that the training process reads.
    stacked: Tensor = default_collate([torch.from_numpy(image) for image in images])
    return stacked.permute(0, 3, 1, 2)


def _failures(samples: Sequence[Sample | Views | Unreadable]) -> list[tuple[str, str]]:
    return [(sample.image_id, sample.reason) for sample in samples if isinstance(sample, Unreadable)]
