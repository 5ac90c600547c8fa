"""Datasets that read and transform the images of a table, and the functions that collate them into batches.

An image that cannot be read becomes an `Unreadable`, which the collate function passes on to the training process
to be counted and reported. Nothing takes its place in the batch.
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

FULL_SIZE = torch.ones(())


@dataclass(frozen=True, eq=False)
class Sample:
    """An image ready for a batch.

    Attributes:
        image: uint8 [H, W, 3].
        row: Row of the image in its table.
        landmark: Index of its landmark, -1 for none.
    """

    image: NDArray[np.uint8]
    row: int
    landmark: int


@dataclass(frozen=True, eq=False)
class Views:
    """An image ready to be embedded.

    Attributes:
        images: The image at each scale, uint8 [H, W, 3].
        row: Row of the image in its table.
    """

    images: tuple[NDArray[np.uint8], ...]
    row: int


@dataclass(frozen=True)
class Unreadable:
    """An image that could not be read.

    Attributes:
        image_id: Its id, 16 hex digits.
        reason: What is wrong, as a message that names the image.
    """

    image_id: str
    reason: str


class TrainDataset(Dataset[Sample | Unreadable]):
    """Augmented training images, indexed by (row, seed).

    Args:
        images: The images to read.
        augmentations: One augmentation, or one for each group of images.
        groups: The group of each row, int [N]; None if there is a single augmentation.
        decode_margin: JPEGs are decoded at 1/2, 1/4 or 1/8 of their size if the crop is then still this many times
            as high and as wide as the output. At 1 nothing is enlarged, below 1.25 the output is visibly softer;
            0 always decodes at full size.
        share: Share of the augmentations' sides that images have, a float tensor []; in shared memory, it can also be
            changed for workers that run.
        multiple: Number that smaller sides are multiples of.
    """

    def __init__(
        self,
        images: ImageSet,
        augmentations: Sequence[Augmentation],
        groups: NDArray[np.integer] | None = None,
        decode_margin: float = 0.0,
        share: Tensor = FULL_SIZE,
        multiple: int = 1,
    ) -> None:
        self.images = images
        self.augmentations = augmentations
        self.groups = groups
        self.decode_margin = decode_margin
        self.share = share
        self.multiple = multiple
        self._smaller: tuple[float, Sequence[Augmentation]] = (1.0, augmentations)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, draw: Draw) -> Sample | Unreadable:
        row, seed = draw
        augmentation = self._resized()[0 if self.groups is None else self.groups[row]]
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

    def _resized(self) -> Sequence[Augmentation]:
        share = float(self.share)
        if share != self._smaller[0]:
            self._smaller = share, [one.shrunk(share, self.multiple) for one in self.augmentations]
        return self._smaller[1]


class EvalDataset(Dataset[Views | Unreadable]):
    """Evaluation images, indexed by row: decoded once at full size, then resized to each scale.

    Args:
        images: The images to read.
        resizes: One preprocessing for each scale, uint8 [H, W, 3] -> uint8 [H', W', 3].
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
    """Make the record of an image that could not be read because of `error`."""
    why = str(error) if isinstance(error, MissingImageError) else f"image {images.name(row)}: {error}"
    return Unreadable(format_id(images.table.ids[row]), why)


def collate_train(samples: Sequence[Sample | Unreadable], group: int = 1) -> dict[str, Any]:
    """Collate augmented images into a batch.

    Args:
        samples: Images of one size, in the order of the sampler.
        group: How many consecutive images belong together. With 2, the partner of an unreadable image is dropped
            too, so that the batch still reads anchor, positive, anchor, positive…

    Returns:
        `image` uint8 [B, 3, S, S] (channels last in memory), `landmark` int64 [B], `row` int64 [B], and
        `unreadable`, a list of (id, reason). Unreadable images make B smaller, down to an empty [0, 3, 0, 0].
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
    """Collate images of several shapes into a batch.

    Args:
        samples: Images of any size, each at the same scales.

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
