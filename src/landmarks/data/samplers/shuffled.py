"""Batches that show every image once per epoch, or as often as specified."""

from collections.abc import Iterator
from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from landmarks.data.samplers.epoch import SEEDS, Draw, EpochBatches, Groups, Share, fingerprint
from landmarks.errors import LandmarksError


class ShuffledBatches(EpochBatches):
    """Cuts a new permutation of all images into batches every epoch; the last, incomplete batch is left out.

    With groups, each group is permuted and cut separately and the steps are shuffled. An epoch has as many steps as
    without groups; each group gets its share of them, randomly rounded down or up, so that over the epochs every image
    is drawn equally often, even in groups smaller than a step. Rounding down leaves out different images of the group
    each epoch; rounding up draws some of them twice, with different augmentations.

    Args:
        num_images: N, the number of images in the table.
        batch_size: Images in a batch of one rank.
        **share: See `Share`.

    Raises:
        LandmarksError: The images do not fill one batch.
    """

    def __init__(self, num_images: int, batch_size: int, **share: Unpack[Share]) -> None:
        super().__init__(batch_size, **share)
        self.num_images = num_images
        if num_images < self.step:
            raise LandmarksError(
                f"{num_images} training images do not fill one batch of {batch_size} on {self.world_size} "
                f"device(s); set data.batch_size to at most {num_images // self.world_size}"
            )

    def __len__(self) -> int:
        return self.num_images // self.step

    def __iter__(self) -> Iterator[list[Draw]]:
        random = np.random.default_rng([self.seed, self.epoch])
        order = self._drawn(random)
        if self.groups is not None:
            order = self._grouped(order, self.groups, random)
        seeds = random.integers(SEEDS, size=len(order))
        for batch in range(self.first, len(self)):
            mine = slice(batch * self.step + self.rank, (batch + 1) * self.step, self.world_size)
            yield list(zip(order[mine].tolist(), seeds[mine].tolist(), strict=True))

    def _drawn(self, random: np.random.Generator) -> NDArray[np.int64]:
        """Return the rows of an epoch in random order: [num_images]."""
        return random.permutation(self.num_images)

    def _grouped(self, order: NDArray[np.int64], groups: Groups, random: np.random.Generator) -> NDArray[np.int64]:
        """Rearrange a permutation [N] into steps of one group each, in random order: [len(self) * step]."""
        order = order[np.argsort(groups[order], kind="stable")]
        sizes = np.unique(groups[order], return_counts=True)[1]
        ends = np.cumsum(sizes)
        # Systematic sampling: the shares lie end to end on a line of len(self) steps, on which whole steps are counted
        # from a random start. The total is exact, and every group gets its share on average.
        whole = np.floor(ends / self.num_images * len(self) + random.random()).astype(int)
        steps = np.diff(np.minimum(whole, len(self)), prepend=0)  # rounding may add one
        taken = [
            np.resize(order[end - size : end], count * self.step)  # repeats images if the last step is not full
            for end, size, count in zip(ends, sizes, steps, strict=True)
        ]
        return random.permutation(np.concatenate(taken).reshape(len(self), self.step)).ravel()


class RepeatedBatches(ShuffledBatches):
    """Draws every image a given, possibly fractional, number of times per epoch, in random order.

    An image with 2.3 repeats comes twice in every epoch and a third time in three of ten. The extra draws change each
    epoch, by systematic sampling, so that all epochs have the same length.

    Args:
        repeats: Draws of each image per epoch, float64 [N], at least 1.
        batch_size: Images in a batch of one rank.
        **share: See `Share`.
    """

    def __init__(self, repeats: NDArray[np.float64], batch_size: int, **share: Unpack[Share]) -> None:
        super().__init__(int(repeats.sum()), batch_size, **share)
        self.repeats = repeats

    def identity(self) -> dict[str, int | float | str]:
        """See `EpochBatches.identity`."""
        return super().identity() | {"how often images are drawn": fingerprint(self.repeats)}

    def _drawn(self, random: np.random.Generator) -> NDArray[np.int64]:
        # The repeats lie end to end on a line; every whole number on it, counted from a random start, draws an image.
        counts = np.diff(np.floor(np.cumsum(self.repeats) + random.random()), prepend=0).astype(np.int64)
        return random.permutation(np.repeat(np.arange(len(counts)), counts))[: self.num_images]


def repeat_factors(
    start: NDArray[np.int64], labels: NDArray[np.int32], classes: int, threshold: float
) -> NDArray[np.float64]:
    """Return how often to draw each image so that rare classes are seen (Gupta et al., "LVIS", CVPR 2019, appendix B).

    The factor of a class in a share f of the images is max(1, sqrt(threshold / f)), and that of an image the largest
    of its classes.

    Args:
        start: int64 [N+1]; the labels of image i are `labels[start[i]:start[i+1]]`.
        labels: Class of each label, int32 [B], below `classes`.
        classes: Number of classes.
        threshold: Share of images below which a class is rare; 0.001 in the paper.

    Returns:
        float64 [N]; 1 for images without labels.
    """
    images = len(start) - 1
    image = np.repeat(np.arange(images), np.diff(start))
    pairs = np.sort(image * classes + labels)
    once = np.diff(pairs, prepend=-1) > 0  # np.unique takes ten times as long on millions
    share = np.bincount(pairs[once] % classes, minlength=classes) / max(images, 1)
    asked = np.sqrt(np.maximum(threshold / np.maximum(share, 1 / max(images, 1)), 1))
    factors = np.ones(images)
    np.maximum.at(factors, image, asked[labels])
    return factors
