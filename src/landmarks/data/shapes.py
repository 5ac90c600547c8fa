"""Batches of images of one shape, planned from the sizes in the images' headers.

In training, images are grouped by width / height, so that wide and tall images are not cropped to squares. A group
trains at its own shape, which has about as many pixels as the square, and its crops have the ratio of that shape. The
ratios lie between 1:2 and 2:1 at equal steps of their logarithm; with five groups, images of 4:3 and 3:2 share one.
More elongated images belong to the outermost groups.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from landmarks.data.images import MULTIPLE, Preprocessing, Sizes, image_sizes, sizes_path
from landmarks.data.roots import Root
from landmarks.data.source import ImageSet
from landmarks.errors import LandmarksError
from landmarks.storage import derived_folder

LONGEST = 2.0  # width / height of the widest group, and height / width of the tallest
MOST_GROUPS = 15

Shape = tuple[int, int]  # height, width

log = logging.getLogger(__name__)


def group_shapes(groups: int, image_size: int, multiple: int = MULTIPLE) -> list[Shape]:
    """Return the shapes of the groups, from tall to wide: at most `groups`, because small neighbours may coincide.

    Args:
        groups: Number of ratios, 1 to 15; with an odd number, one of them is the square.
        image_size: Side in pixels of the square whose area every shape approximates.
        multiple: Number of which all sides are multiples.

    Returns:
        (height, width) of each shape, pixels.

    Raises:
        LandmarksError: `groups` is out of range.
    """
    if not 1 <= groups <= MOST_GROUPS:
        raise LandmarksError(f"data.aspect_groups is {groups}: it must be 0 (off) or up to {MOST_GROUPS}")
    ratios = LONGEST ** np.linspace(-1, 1, groups) if groups > 1 else np.ones(1)
    return list(dict.fromkeys(_closest_shape(ratio, image_size, multiple) for ratio in ratios.tolist()))


def _closest_shape(ratio: float, image_size: int, multiple: int) -> Shape:
    """Return the shape with the smallest error in the logarithms of area and (weighted a little less) ratio."""
    if ratio > 1:  # wide shapes mirror the tall ones
        height, width = _closest_shape(1 / ratio, image_size, multiple)
        return width, height
    sides = np.arange(1, max(round(LONGEST * image_size / multiple), 2) + 1) * multiple
    heights, widths = np.meshgrid(sides, sides, indexing="ij")
    error = np.abs(np.log(heights * widths / image_size**2)) + 0.99 * np.abs(np.log(widths / heights / ratio))
    row, column = np.unravel_index(np.argmin(error), error.shape)
    return int(sides[row]), int(sides[column])


def assign_groups(sizes: NDArray[np.integer], shapes: list[Shape]) -> NDArray[np.int8]:
    """Return the group whose ratio is closest to that of each image.

    Args:
        sizes: Height and width of each image, [N, 2]; 0 x 0 counts as a square.
        shapes: Shapes of the groups.

    Returns:
        Indices into `shapes`, int8 [N].
    """
    logarithms = np.array([np.log(width / height) for height, width in shapes])
    height, width = np.where(sizes.all(axis=1, keepdims=True), sizes, 1).T
    order = np.argsort(logarithms)
    limits = (logarithms[order][1:] + logarithms[order][:-1]) / 2
    return order[np.searchsorted(limits, np.log(width / height))].astype(np.int8)


def cropped_away(sizes: NDArray[np.integer], shapes: list[Shape], groups: NDArray[np.int8]) -> float:
    """Return the share of an image's pixels outside the largest crop of its group's ratio, on average: 0 to 1."""
    known = sizes.all(axis=1)
    height, width = sizes[known].astype(float).T
    ratio = np.array([width / height for height, width in shapes])[groups[known]]
    return float(1 - np.minimum(ratio * height / width, width / height / ratio).mean()) if known.any() else 0.0


class ShapeBatches(Sampler[list[int]]):
    """Puts each row of an evaluation set into exactly one batch of one rank; a batch has one shape, without padding.

    Batches with the most pixels come first, so that a lack of memory shows at once. Batches are dealt to the ranks in
    turn, which gives them about the same work.

    Batches depend neither on the number of ranks nor on `done`: the last digits of a descriptor depend on its batch,
    and a resumed extraction must give the same descriptors as an uninterrupted one.

    Args:
        shapes: Height and width of each image as the network gets it, int [N, 2], or those of several views of
            it side by side, [N, 2 * views]. If all are equal, batches keep the order of the table.
        batch_size: Maximal number of images per batch and rank.
        rank: This process, 0 <= rank < world_size.
        world_size: Number of processes that share the set.
        done: Rows to leave out, bool [N]; None leaves out none.
    """

    def __init__(
        self,
        shapes: NDArray[np.integer],
        batch_size: int,
        rank: int = 0,
        world_size: int = 1,
        done: NDArray[np.bool_] | None = None,
    ) -> None:
        if batch_size < 1 or not 0 <= rank < world_size:
            raise LandmarksError(f"batch_size {batch_size}, rank {rank} of {world_size}: not possible")
        pixels = (shapes[:, ::2].astype(np.int64) * shapes[:, 1::2]).sum(axis=1)
        order = np.lexsort((*shapes.T, -pixels))  # stable: rows of a shape stay in the order of the table
        bounds = np.flatnonzero(np.any(np.diff(shapes[order], axis=0), axis=1)) + 1
        batches = [
            rows[start : start + batch_size]
            for rows in np.split(order, bounds)
            for start in range(0, len(rows), batch_size)
        ]
        batches.sort(key=lambda rows: -len(rows) * int(pixels[rows[0]]) if len(rows) else 0)
        if done is not None:
            batches = [rows[~done[rows]] for rows in batches]
        self._batches = [rows for rows in batches if len(rows)][rank::world_size]

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[list[int]]:
        return (rows.tolist() for rows in self._batches)


@dataclass(frozen=True)
class ImageShapes:
    """Groups the images of a folder or address by shape; their sizes are read once and cached.

    Attributes:
        root: The folder or address.
        num_workers: Processes that read the sizes; 0 reads them in the main process.
    """

    root: Root
    num_workers: int

    def aspect_groups(self, images: ImageSet, shapes: list[Shape], cropped: bool = True) -> NDArray[np.int8]:
        """Return the group of each training image and log the sizes of the groups.

        Args:
            images: The N training images.
            shapes: The shapes at which the groups train.
            cropped: Whether images are cropped to the shape of their group; then the log says how much is lost.

        Returns:
            Indices into `shapes`, int8 [N].
        """
        sizes = self._sizes(images)
        groups = assign_groups(sizes, shapes)
        counts = np.bincount(groups, minlength=len(shapes)).tolist()
        named = ", ".join(f"{h} x {w} ({n} images)" for (h, w), n in zip(shapes, counts, strict=True))
        lost = f"; their crops leave out {cropped_away(sizes, shapes, groups):.0%} of an image at least"
        log.info("Training shapes%s: %s%s", "" if cropped else ", roughly", named, lost if cropped else "")
        return groups

    def evaluation_batches(
        self,
        images: ImageSet,
        resizes: Sequence[Preprocessing],
        batch_size: int,
        rank: int = 0,
        world_size: int = 1,
        done: NDArray[np.bool_] | None = None,
    ) -> ShapeBatches:
        """Return a rank's share of the rows, in batches of one shape if images keep their aspect ratio.

        Otherwise, and at an address whose image sizes are not cached yet, rows keep the order of the table: there,
        requesting each header would take about as long as requesting each image.

        Args:
            images: The N images.
            resizes: One preprocessing for each scale.
            batch_size: Maximal number of images per batch; reduced if a rank would get no batch.
            rank: This process, 0 <= rank < world_size.
            world_size: Number of processes that share the set.
            done: Rows to leave out, bool [N].
        """
        batch_size = min(batch_size, max(len(images) // world_size, 1))
        known = isinstance(self.root, Path) or sizes_path(images, self._folder).exists()
        if all(resize.mode == "square" for resize in resizes) or not known:
            shapes = np.zeros((len(images), 2), dtype=np.int64)
        else:
            sizes = self._sizes(images)
            shapes = np.hstack([resize.shapes(sizes) for resize in resizes])
        return ShapeBatches(shapes, batch_size, rank, world_size, done)

    def _sizes(self, images: ImageSet) -> Sizes:
        return image_sizes(images, self._folder, self.num_workers)

    @property
    def _folder(self) -> Path:
        return derived_folder(self.root) / "sizes"
